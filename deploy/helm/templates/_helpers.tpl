{{- define "rightsizer.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains "rightsizer" .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-rightsizer" .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "rightsizer.serviceAccount" -}}
{{- default (ternary (include "rightsizer.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "rightsizer.selector" -}}
app.kubernetes.io/name: rightsizer
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "rightsizer.labels" -}}
{{ include "rightsizer.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "rightsizer.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{/* The sources of usage that are configured, joined by commas. */}}
{{- define "rightsizer.usageSources" -}}
{{- get .Values.config "usage-sources" | default "metrics-api" | toString | nospace -}}
{{- end -}}

{{/* GOMEMLIMIT in bytes, a share of the memory limit; nothing without a limit. */}}
{{- define "rightsizer.goMemLimit" -}}
{{- $limit := dig "limits" "memory" "" .Values.resources | toString -}}
{{- if and $limit (gt (int .Values.goMemLimitPercent) 0) -}}
{{- $unit := regexFind "[A-Za-z]*$" $limit -}}
{{- $factor := get (dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824) $unit -}}
{{- if not $factor -}}
{{- fail (printf "resources.limits.memory: %q has a unit that is not known, Ki, Mi, Gi, k, M, G or none would be right" $limit) -}}
{{- end -}}
{{- $bytes := mulf (trimSuffix $unit $limit | float64) $factor -}}
{{- if gt $bytes 0.0 }}{{ divf (mulf $bytes (int .Values.goMemLimitPercent)) 100 | floor | int64 }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* The settings whose change makes new pods: the operator takes the others from its file by itself. */}}
{{- define "rightsizer.restarting" -}}
{{- $config := deepCopy .Values.config -}}
{{- range .Files.Lines "files/settings/live.txt" -}}
{{- $config = omit $config . -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}
