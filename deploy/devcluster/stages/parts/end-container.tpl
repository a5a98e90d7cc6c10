@names@
{{ $code := index $annotations "sim.rightsizer.dev/exit-code" }}
{{ $sidecar := eq (or (index $specs $target).restartPolicy "") "Always" }}
{{ $final := and (eq (or .spec.restartPolicy "Always") "Never") (not $sidecar) (eq (len .spec.containers) 1) }}
observedGeneration: {{ $generation }}
{{ if $final }}
phase: Failed
{{ end }}
conditions:
{{ range list "Ready" "ContainersReady" }}
- {type: {{ . }}, status: "False", reason: {{ if $final }}PodFailed{{ else }}ContainersNotReady{{ end }}, message: "containers with unready status: [{{ $target }}]", lastTransitionTime: {{ $now | Quote }}, observedGeneration: {{ $generation }}}
{{ end }}
{{ range $list := list "initContainerStatuses" "containerStatuses" }}
{{ with index $.status $list }}
{{ $list }}:
{{ range $c := . }}
{{ if eq $c.name $target }}
{{ $end := dict "exitCode" 137 "reason" "OOMKilled" }}
{{ if $code }}
{{ $end = dict "exitCode" (int $code) "reason" "Error" }}
{{ end }}
{{ $end = merge $end (dict "startedAt" $c.state.running.startedAt "finishedAt" $now "containerID" $c.containerID) }}
- {{ toJson (merge (dict "ready" false "started" false "state" (dict "terminated" $end)) (omit $c "ready" "started" "state")) }}
{{ else }}
- {{ toJson $c }}
{{ end }}
{{ end }}
{{ end }}
{{ end }}
