{{/* Name of all objects of this release. */}}
{{- define "tarana-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Name of cluster-scoped objects, unique for each release and namespace. */}}
{{- define "tarana-operator.clusterName" -}}
{{- $name := include "tarana-operator.fullname" . -}}
{{- if eq $name .Release.Namespace -}}
{{- $name -}}
{{- else -}}
{{- printf "%s:%s" .Release.Namespace $name -}}
{{- end -}}
{{- end -}}

{{/* Labels that never change during the life of a release. */}}
{{- define "tarana-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "tarana-operator.labels" -}}
{{ include "tarana-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "tarana-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "tarana-operator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "tarana-operator.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (default $.Chart.AppVersion .tag) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The subject of all bindings: the operator's service account. */}}
{{- define "tarana-operator.subjects" -}}
- kind: ServiceAccount
  name: {{ include "tarana-operator.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}

{{/* Name and number of the Service's port. */}}
{{- define "tarana-operator.portName" -}}
{{ ternary "https" "http" (ne .Values.admin.tlsSecretName "") }}
{{- end }}
{{- define "tarana-operator.port" -}}
{{ ternary 443 80 (ne .Values.admin.tlsSecretName "") }}
{{- end }}

{{/* The default namespace of the admin API: that of the release if it is watched, or else the first one that is. */}}
{{- define "tarana-operator.adminNamespace" -}}
{{- $watched := .Values.watchNamespaces }}
{{- if .Values.admin.namespace }}{{ .Values.admin.namespace }}
{{- else if or (not $watched) (has .Release.Namespace $watched) }}{{ .Release.Namespace }}
{{- else }}{{ first $watched }}
{{- end }}
{{- end }}
