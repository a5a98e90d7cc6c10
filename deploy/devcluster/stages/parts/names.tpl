{{ $now := Now }}
{{ $generation := or .metadata.generation 1 }}
{{ $annotations := or .metadata.annotations dict }}
{{ $target := or (index $annotations "sim.rightsizer.dev/container") (index .spec.containers 0).name }}
{{ $specs := dict }}
{{ range concat (or .spec.initContainers list) .spec.containers }}
{{ $_ := set $specs .name . }}
{{ end }}
