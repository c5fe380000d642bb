{{/* The commands that create the Secrets of the connection in the values, one for each Secret with all of its keys. */}}
{{- define "tarana-operator.secretCommands" -}}
{{- $spec := .Values.connection.spec }}
{{- $api := $spec.api.credentialsSecretRef }}
{{- $database := $spec.database.secretRef }}
{{- $sink := $spec.eventSink | default dict }}
{{- $arguments := list
  (list $api.name (printf "--from-literal=%s=…" ($api.usernameKey | default "username")))
  (list $api.name (printf "--from-literal=%s=…" ($api.passwordKey | default "password")))
  (list $database.name (printf "--from-literal=%s=postgres://…" ($database.urlKey | default "url"))) }}
{{- with $database.caKey }}
{{- $arguments = append $arguments (list $database.name (printf "--from-file=%s=database-ca.crt" .)) }}
{{- end }}
{{- with $spec.api.caSecretRef }}
{{- $arguments = append $arguments (list .name (printf "--from-file=%s=api-ca.crt" (.key | default "ca.crt"))) }}
{{- end }}
{{- with $sink.caSecretRef }}
{{- $arguments = append $arguments (list .name (printf "--from-file=%s=sink-ca.crt" (.key | default "ca.crt"))) }}
{{- end }}
{{- with $sink.signingSecretRef }}
{{- $arguments = append $arguments (list .name (printf "--from-literal=%s=…" (.key | default "secret"))) }}
{{- end }}
{{- $bySecret := dict }}
{{- range $arguments }}
{{- $_ := set $bySecret (first .) (append (get $bySecret (first .) | default list) (last .)) }}
{{- end }}
{{- range $name, $arguments := $bySecret }}
  kubectl create secret generic {{ $name }} --namespace {{ include "tarana-operator.connectionNamespace" $ }} {{ join " " (uniq $arguments) }}
{{- end }}
{{- end }}
