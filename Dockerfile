# syntax=docker/dockerfile:1
# The image: the binary with the dashboard in it, the system's CA bundle, time
# zones (compiled in), and nothing else: no shell, no package manager, no root.
#
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg VERSION=v0.1.0 .

# The stages that build run on the builder's own platform; Go crosses over.
FROM --platform=$BUILDPLATFORM node:22-bookworm-slim AS web
WORKDIR /src
COPY gen/ts gen/ts
COPY web/package.json web/package-lock.json web/
RUN --mount=type=cache,id=npm,target=/cache cd web && npm ci --no-audit --no-fund --cache /cache
COPY web web
RUN cd web && npm run build

FROM --platform=$BUILDPLATFORM golang:1.26-bookworm AS binary
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
COPY --from=web /src/web/dist web/dist
ARG TARGETOS=linux
ARG TARGETARCH
ARG VERSION=dev
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,id=go-build,target=/cache \
    GOCACHE=/cache CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath \
    -ldflags "-s -w -X main.version=$VERSION" -o /out/rightsizer ./server/cmd/rightsizer
RUN cp /etc/ssl/certs/ca-certificates.crt /out/

# What ships. `make image` builds this stage alone, from a folder with the two files
# that the stage before makes.
FROM scratch AS image
ARG VERSION=dev
LABEL org.opencontainers.image.title="Right-Sizer" \
      org.opencontainers.image.description="Watches a Kubernetes cluster and says what goes wrong with resources" \
      org.opencontainers.image.source="https://github.com/rightsizer/rightsizer" \
      org.opencontainers.image.version="$VERSION"
COPY --from=binary /out/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=binary /out/rightsizer /rightsizer
USER 65532:65532
EXPOSE 9090 8082 8080
ENTRYPOINT ["/rightsizer"]
