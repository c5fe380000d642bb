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

{{/* Name of an object that has a suffix, at most 63 characters. Argument: list with the root and the suffix. */}}
{{- define "tarana-operator.suffixedName" -}}
{{- $suffix := last . -}}
{{- include "tarana-operator.fullname" (first .) | trunc (int (sub 62 (len $suffix))) | trimSuffix "-" }}-{{ $suffix }}
{{- end -}}

{{/*
Name of cluster-scoped objects, unique for each release and namespace. The longest suffix, -cluster-uid, has 12 characters: a longer name
than 51 ends in a hash instead of being cut, so that it stays unique.
*/}}
{{- define "tarana-operator.clusterName" -}}
{{- $name := include "tarana-operator.fullname" . -}}
{{- if ne $name .Release.Namespace -}}
{{- $name = printf "%s:%s" .Release.Namespace $name -}}
{{- end -}}
{{- if gt (len $name) 51 -}}
{{- $name = printf "%s-%s" (trunc 42 $name | trimSuffix "-" | trimSuffix ":") (sha256sum $name | trunc 8) -}}
{{- end -}}
{{- $name -}}
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

{{/* The operator's name as a user of the API server. */}}
{{- define "tarana-operator.username" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "tarana-operator.serviceAccountName" . }}
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

{{/* The namespace of the release's connection and schedule. Only a watched one is useful. */}}
{{- define "tarana-operator.connectionNamespace" -}}
{{- $namespace := .Values.connection.namespace | default (include "tarana-operator.adminNamespace" . | trim) }}
{{- if and .Values.watchNamespaces (not (has $namespace .Values.watchNamespaces)) }}
{{- fail (printf "the connection's namespace %s is not in watchNamespaces, so that the operator would ignore it: add it there, or set connection.namespace" $namespace) }}
{{- end }}
{{- $namespace }}
{{- end }}

{{/*
Name of the Lease. Operators with the same one are replicas of one another, so that each release with a selector has its own. The default name of the
others never changes: during an upgrade, the old pods must not lead beside the new ones.
*/}}
{{- define "tarana-operator.leaseName" -}}
{{- if .Values.leaderElection.leaseName }}{{ .Values.leaderElection.leaseName }}
{{- else if .Values.watchSelector | default "" | trim }}{{ include "tarana-operator.suffixedName" (list . "shard") }}
{{- else }}tarana-operator
{{- end }}
{{- end -}}

{{/*
Labels of the release's connection or schedule (argument: list with the root, its key in the values, and its own labels): those of the chart, and
those that the equalities of watchSelector require.
*/}}
{{- define "tarana-operator.watchedLabels" -}}
{{- $root := index . 0 -}}
{{- $labels := merge (deepCopy (index . 2 | default dict)) (include "tarana-operator.labels" $root | fromYaml) -}}
{{- range splitList "," ($root.Values.watchSelector | default "") -}}
{{- if regexMatch "^[^!=()]+==?[^=()]*$" . -}}
{{- $key := regexReplaceAll "=.*$" . "" | trim -}}
{{- $value := regexReplaceAll "^[^=]*==?" . "" | trim -}}
{{- if and (hasKey $labels $key) (ne (get $labels $key) $value) -}}
{{- fail (printf "the label %[2]s of the %[1]s is %[3]q, but watchSelector requires %[4]q, so that the operator would ignore the object: correct %[1]s.labels or watchSelector" (index $ 1) $key (get $labels $key) $value) -}}
{{- end -}}
{{- $_ := set $labels $key $value -}}
{{- end -}}
{{- end -}}
{{ toYaml $labels }}
{{- end -}}

{{/* The annotations of an object of the uninstall hook. Argument: its weight. */}}
{{- define "tarana-operator.uninstallAnnotations" -}}
helm.sh/hook: post-delete
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}
