{{/* Names and labels. */}}

{{- define "otelcol-infra.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* Not longer than 40 characters, so that the longest of our names is a DNS label. */}}
{{- define "otelcol-infra.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "otelcol-infra.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "otelcol-infra.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "otelcol-infra.headless" -}}
{{ include "otelcol-infra.fullname" . }}-gateway-headless
{{- end }}

{{/* Of all pods of the release; takes the root. */}}
{{- define "otelcol-infra.releaseLabels" -}}
app.kubernetes.io/name: {{ include "otelcol-infra.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Takes (dict "root" $ "component" "gateway"), as do all below. */}}
{{- define "otelcol-infra.selector" -}}
{{ include "otelcol-infra.releaseLabels" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "otelcol-infra.labels" -}}
{{ include "otelcol-infra.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The beginning of an object of a component. */}}
{{- define "otelcol-infra.metadata" -}}
name: {{ include "otelcol-infra.fullname" .root }}-{{ .component }}
labels:
  {{- include "otelcol-infra.labels" . | nindent 2 }}
{{- end }}
