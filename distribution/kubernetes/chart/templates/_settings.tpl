{{/* What follows from the values. All take (dict "root" $ "component" "gateway"). */}}

{{- define "otelcol-infra.image" -}}
{{- with .root.Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ default $.root.Chart.AppVersion .tag }}{{ end }}
{{- end }}
{{- end }}

{{/* The files of the image in /etc/otelcol-infra, in the order in which they are merged, separated by spaces. */}}
{{- define "otelcol-infra.files" -}}
{{- $values := index .root.Values .component }}
{{- $files := list }}
{{- if eq .component "gateway" }}
{{- $files = append $files "gateway.yaml" }}
{{- if $values.autoscaling.enabled }}{{ $files = append $files "gateway-dns.yaml" }}{{ end }}
{{- if $values.eventsEndpoint }}{{ $files = append $files "gateway-events-otlp.yaml" }}{{ end }}
{{- else }}
{{- $files = append $files "agent.yaml" }}
{{- range list "consul" "etcd" "vault" "vault-audit" "scrape" }}
{{- if has . $values.observe }}{{ $files = append $files (printf "agent-%s.yaml" .) }}{{ end }}
{{- end }}
{{- end }}
{{- join " " (append $files "status.yaml") }}
{{- end }}

{{- define "otelcol-infra.tlsSecret" -}}
{{- $values := index .root.Values .component }}
{{- if .root.Values.tls.certManager.enabled -}}
{{ include "otelcol-infra.fullname" .root }}-{{ .component }}-tls
{{- else if or $values.tls.secretName .root.Values.tls.secretName -}}
{{ default .root.Values.tls.secretName $values.tls.secretName }}
{{- else -}}
{{ fail (printf "tls.secretName: name a Secret with ca.crt, tls.crt and tls.key, here or in %s.tls.secretName, or set tls.certManager.enabled" .component) }}
{{- end }}
{{- end }}

{{/* 90 % of the container's memory; the rest is for what is not on Go's heap. */}}
{{- define "otelcol-infra.memoryLimitMiB" -}}
{{- $limit := (index .root.Values .component).resources.limits.memory }}
{{- $number := regexFind "^[0-9]+" $limit | int }}
{{- if hasSuffix "Gi" $limit }}{{ $number = mul $number 1024 }}{{ end }}
{{- div (mul $number 90) 100 }}
{{- end }}

{{- define "otelcol-infra.gatewayEndpoint" -}}
{{- $values := index .root.Values .component }}
{{- if $values.gatewayEndpoint -}}
{{ $values.gatewayEndpoint }}
{{- else if .root.Values.gateway.enabled -}}
{{ include "otelcol-infra.headless" .root }}:4317
{{- else -}}
{{ fail (printf "%s.gatewayEndpoint: name host:port of the gateways, or set gateway.enabled" .component) }}
{{- end }}
{{- end }}

{{/* How long a pod goes on before it ends. New connections no longer reach it after a
few seconds. Gateways that scale have to leave the others' DNS answers (30 s, and 5 s
until these ask again), and then to decide on what they have. */}}
{{- define "otelcol-infra.preStopSeconds" -}}
{{- if and (eq .component "gateway") .root.Values.gateway.autoscaling.enabled -}}
{{ add 35 .root.Values.gateway.decisionWaitSeconds }}
{{- else if eq .component "observer" -}}
0
{{- else -}}
5
{{- end }}
{{- end }}

{{/* The variables that the shipped configuration reads, as a YAML object. */}}
{{- define "otelcol-infra.variables" -}}
{{- $values := index .root.Values .component -}}
STATE_DIRECTORY: /var/lib/otelcol-infra
TELEMETRY_HOST: $(POD_IP)
HEALTH_CHECK_ENDPOINT: ":13134"
MEMORY_LIMIT_MIB: {{ include "otelcol-infra.memoryLimitMiB" . | quote }}
GOMEMLIMIT: {{ div (mul (include "otelcol-infra.memoryLimitMiB" . | int) 80) 100 }}MiB
{{- if ne .component "gateway" }}
GATEWAY_ENDPOINT: {{ include "otelcol-infra.gatewayEndpoint" . | quote }}
{{- end }}
{{- if ne .component "observer" }}
OTLP_GRPC_ENDPOINT: ":4317"
OTLP_HTTP_ENDPOINT: ":4318"
{{- end }}
{{- if eq .component "gateway" }}
BALANCED_ENDPOINT: ":4319"
PROMETHEUS_EXPORTER_ENDPOINT: ":9464"
APPLICATIONS_EXPORTER_ENDPOINT: ":9465"
JAEGER_OTLP_ENDPOINT: {{ $values.jaegerEndpoint | quote }}
JAEGER_INSECURE: {{ $values.jaegerInsecure | quote }}
DECISION_WAIT: {{ $values.decisionWaitSeconds }}s
GATEWAYS_SERVER_NAME: {{ include "otelcol-infra.headless" .root }}
{{- if $values.autoscaling.enabled }}
GATEWAYS_DNS: {{ include "otelcol-infra.headless" .root }}
{{- else }}
{{- $gateways := list }}
{{- range until (int $values.replicas) }}
{{- $gateways = append $gateways (printf "%s-gateway-%d.%s:4319" (include "otelcol-infra.fullname" $.root) . (include "otelcol-infra.headless" $.root)) }}
{{- end }}
GATEWAYS: {{ toJson $gateways | quote }}
{{- end }}
{{- with $values.eventsEndpoint }}
EVENTS_OTLP_ENDPOINT: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}
