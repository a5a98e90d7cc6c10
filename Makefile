# Every target stands on its own on a fresh clone: what it needs and does not find
# is installed into this folder, pinned, with a line that says so. CI calls the
# same targets as a person.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
BUF     := .tools/node_modules/.bin/buf
BIN     := .tools/bin
# Where .ci/toolchain unpacks it, where the machine has none.
PROMETHEUS := $(CURDIR)/.build/prometheus/usr/bin
CONTROLLER_GEN = $(BIN)/controller-gen paths=./remediate/policy/v1alpha1
# Modules of their own, beside the root: each is vetted and tested like it.
MODULES := . proto/openapi deploy/devcluster deploy/e2e deploy/manifests deploy/dashboards bus/bench server/bench watcher/recommend/bench
say = @printf '\033[1m== %s\033[0m\n' "$(1)" >&2

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ---- what people run -------------------------------------------------------

.PHONY: run
run: build ## A cluster with workloads that misbehave, the operator and the page at http://localhost:9090/; it asks in staging, acts in production (KUBECONFIG set: that cluster, nothing is changed)
	@if [ -n "$${KUBECONFIG:-}" ]; then exec bin/rightsizer serve $(LOCAL) --leader-elect=never; fi; \
	$(MAKE) bin/devcluster; \
	printf '\033[1m== the page comes first: http://localhost:9090/ ; Ctrl-C ends all of it\033[0m\n' >&2; \
	exec bin/devcluster run $(POLICIES) --scenario mixed -- bin/rightsizer serve $(LOCAL) --cluster-name=devcluster

# Where repairs wait for an approval, and where they are made by themselves; nothing
# is changed anywhere else. The admission policy of approvals is left out: it lets
# the operator's service account alone make Remediations, and here it is the admin.
POLICIES := --make-namespace rightsizer --apply deploy/crd --apply deploy/admission/reserved.yaml \
	--apply staging=deploy/crd/examples/approve.yaml --apply production=deploy/crd/examples/auto.yaml

LOCAL := --grpc-bind-address=127.0.0.1:9090 --metrics-bind-address=127.0.0.1:8080 --events-bind-address=127.0.0.1:8082

.PHONY: build
build: web/dist/index.html ## bin/rightsizer with the dashboard embedded
	@.ci/toolchain go
	$(call say,building bin/rightsizer)
	@CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/rightsizer ./server/cmd/rightsizer

.PHONY: bin/devcluster
bin/devcluster:
	@cd deploy/devcluster && CGO_ENABLED=0 go build -trimpath -o ../../bin/devcluster ./cmd/devcluster

# ---- generated code --------------------------------------------------------

.PHONY: generate
generate: .build/protovalidate.stamp .build/buf.stamp .build/controller-gen.stamp ## Go, TypeScript and OpenAPI from proto/, DeepCopy and CRDs from remediate/policy/v1alpha1, manifests from the chart
	$(call say,generating gen/)
	@$(BUF) format -w
	@find gen -name '*.go' -delete; rm -rf gen/ts/src gen/openapi
	@$(BUF) generate
	$(call say,generating DeepCopy and deploy/crd/)
	@$(CONTROLLER_GEN) object crd output:object:dir=remediate/policy/v1alpha1 output:crd:dir=deploy/crd
	$(call say,generating deploy/install.yaml and deploy/kustomize/ from deploy/helm/)
	@cd deploy/manifests && go run ./cmd/manifests generate ../..

.PHONY: checkgenerate
checkgenerate: .build/protovalidate.stamp .build/buf.stamp .build/controller-gen.stamp ## Fails when generated code, CRDs or the schema's format are stale, or the schema breaks the last release
	$(call say,is gen/ what proto/ says?)
	@$(BUF) format -d --exit-code
	@rm -rf .build/fresh && mkdir -p .build/fresh
	@$(BUF) generate -o .build/fresh
	@diff -r -x package.json -x README.md gen .build/fresh/gen || { echo "gen/ is stale: run 'make generate' and commit it" >&2; exit 1; }
	@mkdir -p .build/fresh/object .build/fresh/crd
	@$(CONTROLLER_GEN) object crd output:object:dir=.build/fresh/object output:crd:dir=.build/fresh/crd
	@for f in .build/fresh/object/*.go; do diff $$f remediate/policy/v1alpha1/$${f##*/} || stale=1; done; \
	for f in .build/fresh/crd/*.yaml; do diff $$f deploy/crd/$${f##*/} || stale=1; done; \
	[ -z "$${stale:-}" ] || { echo "DeepCopy or deploy/crd/ are stale: run 'make generate' and commit it" >&2; exit 1; }
	@cd deploy/manifests && go run ./cmd/manifests check ../..
	@.ci/breaking $(BUF)

# ---- checks ----------------------------------------------------------------

.PHONY: lint
lint: .build/tools.stamp .build/buf.stamp .build/protovalidate.stamp .build/web.stamp ## buf lint, golangci-lint in every module, Biome, strict tsc
	$(call say,buf lint)
	@$(BUF) lint
	@for m in $(MODULES); do [ -f $$m/go.mod ] || continue; echo "== golangci-lint $$m" >&2; (cd $$m && $(CURDIR)/$(BIN)/golangci-lint run --config $(CURDIR)/.golangci.yml ./...); done
	@cd deploy/manifests && go vet -tags node,image ./... # what is built by a tag alone
	@cd deploy/e2e && go vet -tags soak ./...
	$(call say,Biome and tsc)
	@cd web && npm run --silent lint

.PHONY: format
format: .build/tools.stamp .build/buf.stamp .build/protovalidate.stamp .build/web.stamp ## Formats everything
	@$(BUF) format -w
	@for m in $(MODULES); do [ -f $$m/go.mod ] || continue; (cd $$m && $(CURDIR)/$(BIN)/golangci-lint fmt --config $(CURDIR)/.golangci.yml ./...); done
	@cd web && npm run --silent format

.PHONY: test
test: checkgenerate lint test-go test-openapi test-conformance test-clients test-web test-feed test-dashboards test-devcluster test-manifests fuzz-smoke e2e ## Everything that must pass
	$(call say,all of it passed)

.PHONY: test-go
test-go: web/dist/index.html ## Unit and property tests, race detector on
	@.ci/toolchain prometheus
	$(call say,go test -race)
	@PATH=$(PROMETHEUS):$$PATH go test -race -shuffle=on -timeout=20m ./...

.PHONY: test-openapi
test-openapi: ## The generator of the OpenAPI document, and the document beside the rules of the protos
	$(call say,openapi)
	@cd proto/openapi && go test ./...

.PHONY: fuzz-smoke
fuzz-smoke: ## A thousand new inputs for each fuzz target
	$(call say,a thousand new inputs for each fuzz target)
	@.ci/fuzz 1000x

.PHONY: test-conformance
test-conformance: .build/buf.stamp ## Connect's own conformance suite on the streams
	$(call say,conformance)
	@.ci/conformance

.PHONY: test-clients
test-clients: .build/tools.stamp .build/web.stamp ## Others' clients, and a browser, read 100,000 events each
	@.ci/toolchain chromium
	$(call say,others' clients)
	@cd server/bench && go test -count=1 -timeout=15m ./...

.PHONY: test-web
test-web: web/dist/index.html ## Vitest; what a browser loads first
	$(call say,vitest)
	@cd web && npm test --silent && npm run --silent size

.PHONY: test-feed
test-feed: web/dist/index.html ## The live feed in a browser, a minute of 2,000 events a second
	@.ci/toolchain chromium
	$(call say,a minute of the feed under load)
	@cd web && npm run --silent soak 60

.PHONY: test-dashboards
test-dashboards: ## Dashboards and alert rules, with Prometheus' own parser and rule engine
	$(call say,dashboards and alert rules)
	@cd deploy/dashboards && go test ./...

.PHONY: test-devcluster
test-devcluster: ## The real control plane and its scenarios
	$(call say,devcluster; its first build takes minutes)
	@cd deploy/devcluster && go run ./cmd/devcluster build && go test -race -timeout=25m ./...

.PHONY: test-manifests
test-manifests: ## The chart by Helm 3 and 4, kustomize, install.yaml: rendered, and installed on a real control plane
	$(call say,what is installed)
	@cd deploy/devcluster && go run ./cmd/devcluster build
	@cd deploy/manifests && go test -count=1 -timeout=20m ./...

.PHONY: node-test
node-test: image ## The chart on a real kubelet, where the kernel kills and the operator cures (root; Debian's containerd, runc)
	$(call say,a real node; the kubelet takes minutes to build the first time)
	@cd deploy/devcluster && go run ./cmd/devcluster build
	@.ci/node

.PHONY: e2e
e2e: build .build/tools.stamp .build/web.stamp ## The binary against a real control plane, over every protocol, and in a browser
	@.ci/toolchain chromium curl prometheus
	$(call say,end to end)
	@cd deploy/devcluster && go run ./cmd/devcluster build
	@cd deploy/e2e && PATH=$(PROMETHEUS):$$PATH RIGHTSIZER_BIN=$(CURDIR)/bin/rightsizer GRPCURL=$(CURDIR)/$(BIN)/grpcurl go test -race -count=1 -timeout=60m ./...

.PHONY: bench
bench: build ## Figures as ratios against peers, from one run; memory and latency of the binary on a devcluster (half an hour)
	$(call say,benchmarks)
	@go test -run '^$$' -bench . -benchmem ./bus ./watcher/...
	@cd bus/bench && go run .
	@cd server/bench && go run . -big
	@if [ -n "$(USAGE)" ]; then cd watcher/recommend/bench && go run . --input $(abspath $(USAGE)) $(USAGEFLAGS); else echo "USAGE=file.csv.gz is not set: sizes are not compared with VPA and KRR" >&2; fi
	$(call say,latency and memory of the binary on a real control plane)
	@cd deploy/devcluster && go run ./cmd/devcluster build --optimized
	@cd deploy/e2e && go run ./bench latency && go run ./bench limits && go run ./bench cure && go run ./bench memory -big

# Recorded usage on which recommendations are compared with those of VPA and KRR,
# as rightsizer backtest reads it, and flags such as --warmup=72 --score-from=144.
USAGE ?=
USAGEFLAGS ?=

# How long the soak lasts, at least 1m, and each fuzz target.
SOAKTIME ?= 10m
FUZZTIME ?= 1m

.PHONY: soak
soak: build ## Long passes: leaks, slopes and exactness under faults, the feed in a browser (SOAKTIME=10m each), then fuzzing (FUZZTIME=1m a target)
	$(call say,soaking for $(SOAKTIME))
	@cd deploy/devcluster && go run ./cmd/devcluster build
	@cd deploy/e2e && RIGHTSIZER_BIN=$(CURDIR)/bin/rightsizer SOAKTIME=$(SOAKTIME) go test -tags soak -count=1 -timeout=0 -v ./soak
	@.ci/toolchain chromium
	$(call say,the feed under load for $(SOAKTIME))
	@cd web && npm run --silent soak $(SOAKTIME)
	$(call say,fuzzing each target for $(FUZZTIME))
	@.ci/fuzz $(FUZZTIME)

.PHONY: sbom
sbom: build ## bin/rightsizer.cdx.json: what is in the binary, as CycloneDX
	$(call say,software bill of materials)
	@go run github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.9.0 bin -json -output bin/rightsizer.cdx.json bin/rightsizer

.PHONY: image
image: web/dist/index.html ## The image for amd64 and arm64, built and run without a container engine (root, Debian's buildah)
	@.ci/toolchain go curl
	$(call say,image)
	@.ci/image $(VERSION)

.PHONY: publish
publish: ## The image and the chart of a release to REGISTRY=ghcr.io/rightsizer
	@[ -n "$(REGISTRY)" ] || { echo "REGISTRY is empty; wants where to, such as REGISTRY=ghcr.io/rightsizer" >&2; exit 1; }
	@$(MAKE) --no-print-directory image
	@.ci/publish "$(REGISTRY)"

.PHONY: release
release: .build/protovalidate.stamp .build/buf.stamp .build/controller-gen.stamp ## The tree of VERSION=v0.2.0, or of VERSION=v0.3.0-dev, the work on it
	@.ci/release "$(VERSION)" $(BUF)
	@$(MAKE) --no-print-directory generate

.PHONY: clean
clean: ## Removes what make made
	@rm -rf .build bin .tools/bin .tools/node_modules web/node_modules
	@find web/dist -mindepth 1 ! -name .gitkeep -delete

# ---- set-up, each once -----------------------------------------------------

.build/protovalidate.stamp: .ci/protovalidate
	@.ci/protovalidate && touch $@

.build/buf.stamp: .tools/package-lock.json
	@.ci/toolchain node
	$(call say,installing buf)
	@cd .tools && npm ci --no-audit --no-fund --loglevel=error
	@mkdir -p .build && touch $@

.build/tools.stamp: .tools/go.mod .tools/go.sum
	@.ci/toolchain go
	$(call say,building golangci-lint and grpcurl; some minutes the first time)
	@cd .tools && GOBIN=$(CURDIR)/$(BIN) go install tool
	@mkdir -p .build && touch $@

# Alone, so that generating does not wait for the linters to be built.
.build/controller-gen.stamp: .tools/go.mod .tools/go.sum
	@.ci/toolchain go
	@cd .tools && go build -o bin/controller-gen sigs.k8s.io/controller-tools/cmd/controller-gen
	@mkdir -p .build && touch $@

.build/web.stamp: web/package-lock.json web/package.json gen/ts/package.json
	@.ci/toolchain node
	$(call say,installing the dashboard's packages)
	@cd web && npm ci --no-audit --no-fund --loglevel=error
	@mkdir -p .build && touch $@

web/dist/index.html: .build/web.stamp $(shell find web/src web/public web/index.html web/vite.config.ts gen/ts/src -type f 2>/dev/null)
	$(call say,building the dashboard)
	@cd web && npm run --silent build
	@touch $@
