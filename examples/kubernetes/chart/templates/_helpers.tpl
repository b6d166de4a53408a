{{- define "storsync.name" -}}
{{ .Release.Name | trunc 53 | trimSuffix "-" }}
{{- end }}

{{/* What the Deployment selects: never changed. */}}
{{- define "storsync.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "storsync.labels" -}}
{{ include "storsync.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* The INI file. A number of more than six digits would be 1e+06. */}}
{{- define "storsync.ini" -}}
{{- range $name, $value := .Values.settings }}
{{ $name }} = {{ include "storsync.value" $value }}
{{- end }}
{{- range $side := list "source" "destination" }}

[{{ $side }}]
{{- range $name, $value := index $.Values $side }}
{{ $name }} = {{ include "storsync.value" $value }}
{{- end }}
{{- end }}
{{- end }}

{{- define "storsync.value" -}}
{{ if kindIs "float64" . }}{{ . | int64 }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{- define "storsync.lockedDown" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* The container of storsync-init, as init container, sidecar or alone. */}}
{{- define "storsync.container" -}}
name: storsync
image: {{ .Values.image | quote }}
{{- if eq .Values.mode "sidecar" }}
# It goes on running: the containers of the application start when the startup probe is content.
restartPolicy: Always
{{- end }}
{{- if ne .Values.mode "init" }}
args: [--serve]
{{- end }}
env:
  - {name: STORSYNC_STATUS_FILE, value: /status/status.json}
  # The same for all replicas of one rollout, which is a deployment.
  - name: STORSYNC_DEPLOYMENT_ID
    valueFrom: {fieldRef: {fieldPath: "metadata.labels['pod-template-hash']"}}
  {{- if ne .Values.mode "init" }}
  # All interfaces of the pod: kubelet and Prometheus come from outside. Without a token it only reads.
  - {name: STORSYNC_ADMIN_LISTEN, value: ":{{ .Values.admin.port }}"}
  {{- if .Values.admin.tokenSecret }}
  - {name: STORSYNC_ADMIN_TOKEN_FILE, value: /token/token}
  {{- end }}
  {{- end }}
{{- if .Values.credentialsSecret }}
envFrom:
  - secretRef: {name: {{ .Values.credentialsSecret | quote }}}
{{- end }}
{{- if ne .Values.mode "init" }}
ports:
  - {name: admin, containerPort: {{ .Values.admin.port }}}
# The first run is over. It takes `timeout` at most; five minutes more are for what stands in its way.
startupProbe:
  httpGet: {path: /readyz, port: admin}
  periodSeconds: 1
  failureThreshold: {{ include "storsync.patience" . }}
readinessProbe:
  httpGet: {path: {{ .Values.admin.readinessPath }}, port: admin}
# Never /healthz: a restart mends no sync.
livenessProbe:
  httpGet: {path: /readyz, port: admin}
  timeoutSeconds: 5
{{- end }}
volumeMounts:
  - {name: config, mountPath: /etc/storsync, readOnly: true}
  - {name: status, mountPath: /status}
  {{- if and (ne .Values.mode "init") .Values.admin.tokenSecret }}
  - {name: token, mountPath: /token, readOnly: true}
  {{- end }}
securityContext:
  {{- include "storsync.lockedDown" . | nindent 2 }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
{{- end }}

{{/* Seconds: `timeout` and five minutes. */}}
{{- define "storsync.patience" -}}
{{- $timeout := .Values.settings.timeout | default "5m" | toString }}
{{- if not (regexMatch "^[0-9]+(s|m|h)$" $timeout) }}
{{- fail "settings.timeout: one number and a unit, as 5m, so that probes can go by it" }}
{{- end }}
{{- $unit := get (dict "s" 1 "m" 60 "h" 3600) (regexFind "[smh]$" $timeout) }}
{{- add 300 (mul (regexFind "^[0-9]+" $timeout | int) $unit) }}
{{- end }}
