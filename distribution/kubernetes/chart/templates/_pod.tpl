{{/* The pod of a component; takes (dict "root" $ "component" "gateway"). */}}
{{- define "otelcol-infra.pod" -}}
{{- $values := index .root.Values .component -}}
{{- $preStop := include "otelcol-infra.preStopSeconds" . | int -}}
metadata:
  annotations:
    # A changed configuration restarts the pods.
    checksum/config: {{ include "otelcol-infra.configData" . | sha256sum }}
    {{- with $values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  labels:
    {{- include "otelcol-infra.labels" . | nindent 4 }}
    {{- with $values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "otelcol-infra.fullname" .root }}-{{ .component }}
  automountServiceAccountToken: {{ $values.kubernetesDiscovery.enabled }}
  enableServiceLinks: false # a Service named vault would set VAULT_PORT
  terminationGracePeriodSeconds: {{ add $preStop 30 }}
  {{- with .root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if eq .component "gateway" }}
  topologySpreadConstraints:
    {{- if $values.topologySpreadConstraints }}
    {{- toYaml $values.topologySpreadConstraints | nindent 4 }}
    {{- else }}
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "otelcol-infra.selector" . | nindent 10 }}
    {{- end }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  containers:
    - name: otelcol-infra
      image: {{ include "otelcol-infra.image" . | quote }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      args:
        {{- range splitList " " (include "otelcol-infra.files" .) }}
        - --config=/etc/otelcol-infra/{{ . }}
        {{- end }}
        - --config=/etc/otelcol-infra/config/additions.yaml
        - --feature-gates=extension.healthcheck.useComponentStatus
      env:
        {{- range list (list "POD_NAME" "metadata.name") (list "POD_NAMESPACE" "metadata.namespace") (list "POD_IP" "status.podIP") (list "NODE_NAME" "spec.nodeName") (list "NODE_IP" "status.hostIP") }}
        - name: {{ first . }}
          valueFrom:
            fieldRef:
              fieldPath: {{ last . }}
        {{- end }}
        {{- $variables := mergeOverwrite (include "otelcol-infra.variables" . | fromYaml) (deepCopy $values.env) }}
        {{- range $name, $value := $variables }}
        - name: {{ $name }}
          value: {{ $value | quote }}
        {{- end }}
      ports:
        {{- if ne .component "observer" }}
        - name: otlp-grpc
          containerPort: 4317
        - name: otlp-http
          containerPort: 4318
        {{- end }}
        {{- if eq .component "gateway" }}
        - name: balanced
          containerPort: 4319
        - name: metrics
          containerPort: 9464
        - name: app-metrics
          containerPort: 9465
        {{- end }}
        - name: telemetry
          containerPort: 8888
        - name: health
          containerPort: 13134
      # The health check fails while the collector starts and ends, and not while a
      # server or a backend is away: a restart would not bring it back.
      startupProbe:
        httpGet: {path: /status, port: health}
        periodSeconds: 2
        timeoutSeconds: 5
        failureThreshold: 60
      readinessProbe:
        httpGet: {path: /status, port: health}
        periodSeconds: 5
        timeoutSeconds: 5
      livenessProbe:
        httpGet: {path: /status, port: health}
        periodSeconds: 15
        timeoutSeconds: 10
        failureThreshold: 4
      {{- if $preStop }}
      lifecycle:
        preStop:
          sleep:
            seconds: {{ $preStop }}
      {{- end }}
      resources:
        {{- toYaml $values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      volumeMounts:
        - name: config
          mountPath: /etc/otelcol-infra/config
          readOnly: true
        - name: tls
          mountPath: /etc/otelcol-infra/tls
          readOnly: true
        - name: state
          mountPath: /var/lib/otelcol-infra
        {{- range $name, $secret := $values.secrets }}
        - name: secret-{{ $name }}
          mountPath: /etc/otelcol-infra/secrets/{{ $name }}
          readOnly: true
        {{- end }}
        {{- with $values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ include "otelcol-infra.fullname" .root }}-{{ .component }}
    - name: tls
      secret:
        secretName: {{ include "otelcol-infra.tlsSecret" . }}
        defaultMode: 0440
    {{- if eq .component "agent" }}
    - name: state
      {{- if $values.persistence.hostPath }}
      hostPath:
        path: {{ $values.persistence.hostPath | quote }}
        type: Directory
      {{- else }}
      emptyDir:
        sizeLimit: {{ $values.persistence.sizeLimit }}
      {{- end }}
    {{- else if not $values.persistence.enabled }}
    - name: state
      emptyDir:
        sizeLimit: {{ $values.persistence.size }}
    {{- end }}
    {{- range $name, $secret := $values.secrets }}
    - name: secret-{{ $name }}
      secret:
        secretName: {{ $secret }}
        defaultMode: 0440
    {{- end }}
    {{- with $values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{/* The claim of a pod of a StatefulSet. */}}
{{- define "otelcol-infra.claims" -}}
{{- $values := index .root.Values .component -}}
{{- if $values.persistence.enabled -}}
volumeClaimTemplates:
  - apiVersion: v1
    kind: PersistentVolumeClaim
    metadata:
      name: state
      labels:
        {{- include "otelcol-infra.selector" . | nindent 8 }}
    spec:
      accessModes: [ReadWriteOnce]
      {{- with $values.persistence.storageClassName }}
      storageClassName: {{ . }}
      {{- end }}
      resources:
        requests:
          storage: {{ $values.persistence.size }}
{{- end }}
{{- end }}
