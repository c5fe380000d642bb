{{/*
The operator's permissions in the namespaces that it watches. It writes the status of objects that others created, never their spec.
On runs, `patch` is for the finalizer and for cancelling a run that a schedule replaces, `create` is for schedules, and `delete` is for
ttlSecondsAfterFinished and for the history limits of schedules. The admission plugin OwnerReferencesPermissionEnforcement requires
`finalizers` for setting a schedule as the owner of a run. `tests/it/rights.rs` proves that each permission is used.
*/}}
{{- define "tarana-operator.rules" -}}
- apiGroups: [tarana.dev]
  resources: [taranaconnections, taranasyncschedules]
  verbs: [list, watch]
{{- if .Values.admin.enabled }}
# The managed fields of a connection, for the timeline of the admin API: the watch leaves them out.
- apiGroups: [tarana.dev]
  resources: [taranaconnections]
  verbs: [get]
# Suspend, resume, run now: on behalf of callers of the admin API who have this permission themselves.
- apiGroups: [tarana.dev]
  resources: [taranasyncschedules]
  verbs: [patch]
{{- end }}
- apiGroups: [tarana.dev]
  resources: [taranaconnections/status, taranasyncs/status, taranasyncschedules/status]
  verbs: [update]
- apiGroups: [tarana.dev]
  resources: [taranasyncs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [tarana.dev]
  resources: [taranasyncschedules/finalizers]
  verbs: [update]
# Credentials and certificates of connections. Watched, so that a changed password is used at once.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch]
# `list`: suspensions of schedules in the timeline of the admin API.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch{{ if .Values.admin.enabled }}, list{{ end }}]
{{- end -}}
