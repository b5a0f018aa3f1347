{{/* Names are fixed: two releases in one cluster would fight over the same objects. */}}
{{- define "lamia.labels" -}}
app.kubernetes.io/name: lamia
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "lamia.selector" -}}
app.kubernetes.io/name: lamia
app.kubernetes.io/component: operator
{{- end }}
