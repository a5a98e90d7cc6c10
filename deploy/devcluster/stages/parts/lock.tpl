metadata: {uid: {{ .metadata.uid | Quote }}, resourceVersion: {{ .metadata.resourceVersion | Quote }}}
