{{/* The value of the label `job` of all series of this release. */}}
{{- define "tarana-operator.job" -}}
{{ .Values.metrics.job | default (printf "%s/%s" .Release.Namespace (include "tarana-operator.fullname" .)) }}
{{- end }}

{{/* Selects the Service of the metrics, and not that of the admin API. */}}
{{- define "tarana-operator.metricsComponent" -}}
app.kubernetes.io/component: metrics
{{- end }}

{{/* Name of the objects for metrics. */}}
{{- define "tarana-operator.metricsName" -}}
{{ include "tarana-operator.suffixedName" (list . "metrics") }}
{{- end }}

{{/* A rule from its definition in alerts/ and the values for it. Argument: dict with root, name, definition and values. */}}
{{- define "tarana-operator.alert" -}}
{{- $settings := .root.Values.metrics.prometheusRule }}
{{- $job := include "tarana-operator.job" .root }}
alert: {{ .name }}
expr: |-
  {{- .values.expr | default .definition.expr | replace "$JOB" $job | trim | nindent 2 }}
for: {{ .values.for | default .definition.for }}
labels:
  {{- $severity := dict "severity" (.values.severity | default .definition.severity) }}
  {{- mergeOverwrite $severity $settings.alertLabels (.values.labels | default dict) | toYaml | nindent 2 }}
annotations:
  summary: {{ .definition.summary | replace "$JOB" $job | toJson }}
  description: {{ .definition.description | replace "$JOB" $job | toJson }}
  runbook_url: {{ printf "%s#%s" ($settings.runbookUrl | default "RUNBOOK.md") (lower .name) | toJson }}
{{- end }}
