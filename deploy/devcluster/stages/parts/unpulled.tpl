@names@
{{ $backOff := false }}
{{ range .status.containerStatuses }}
{{ if eq (or (or (or .state dict).waiting dict).reason "") "ErrImagePull" }}
{{ $backOff = true }}
{{ end }}
{{ end }}
observedGeneration: {{ $generation }}
@address@
conditions:
{{ range list "PodReadyToStartContainers" "Initialized" }}
- {type: {{ . }}, status: "True", lastTransitionTime: {{ $now | Quote }}, observedGeneration: {{ $generation }}}
{{ end }}
{{ range list "Ready" "ContainersReady" }}
- {type: {{ . }}, status: "False", reason: ContainersNotReady, message: "containers with unready status", lastTransitionTime: {{ $now | Quote }}, observedGeneration: {{ $generation }}}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
{{ $private := hasPrefix "private.invalid/" .image }}
{{ $cause := printf "failed to pull and unpack image %q: failed to resolve reference %q: %s: not found" .image .image .image }}
{{ if $private }}
{{ $cause = printf "failed to pull and unpack image %q: failed to resolve reference %q: failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://private.invalid/token?service=private.invalid: 401 Unauthorized" .image .image }}
{{ end }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  restartCount: 0
  lastState: {}
  resources: {{ toJson (or .resources dict) }}
  allocatedResources: {{ toJson (or (or .resources dict).requests dict) }}
  {{ if not (or $private (hasPrefix "registry.invalid/" .image)) }}
  imageID: {{ printf "sha256:%s" (sha256sum .image) | Quote }}
  containerID: {{ printf "containerd://%s" (sha256sum (printf "%s/%s/0" $.metadata.uid .name)) | Quote }}
  ready: true
  started: true
  state: {running: {startedAt: {{ or $.status.startTime $now | Quote }}}}
  {{ else }}
  imageID: ""
  ready: false
  started: false
  {{ if $backOff }}
  state: {waiting: {reason: ImagePullBackOff, message: {{ printf "Back-off pulling image %q: ErrImagePull: %s" .image $cause | Quote }}}}
  {{ else }}
  state: {waiting: {reason: ErrImagePull, message: {{ $cause | Quote }}}}
  {{ end }}
  {{ end }}
{{ end }}
