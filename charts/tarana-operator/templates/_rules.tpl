{{/*
What the operator may do where it watches, and nothing else. It writes the status of what others created and never their spec;
`update` and `patch` of a run itself are for its finalizer and to cancel what a schedule replaces, `create` is for schedules, `delete`
for ttlSecondsAfterFinished and for what a schedule's history has no room for. `finalizers` is what the admission plugin
OwnerReferencesPermissionEnforcement asks of whoever makes a run its schedule's own.
*/}}
{{- define "tarana-operator.rules" -}}
- apiGroups: [tarana.dev]
  resources: [taranaconnections, taranasyncschedules]
  verbs: [get, list, watch]
{{- if .Values.admin.enabled }}
# Suspend, resume, run now: for callers of the admin API who may do so themselves.
- apiGroups: [tarana.dev]
  resources: [taranasyncschedules]
  verbs: [patch]
{{- end }}
- apiGroups: [tarana.dev]
  resources: [taranaconnections/status, taranasyncs/status, taranasyncschedules/status]
  verbs: [update, patch]
- apiGroups: [tarana.dev]
  resources: [taranasyncs]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [tarana.dev]
  resources: [taranasyncschedules/finalizers]
  verbs: [update]
# Credentials and certificates that a connection names; watched, so that a new password is tried at once.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
