{{/*
What the operator may do where it watches, and nothing else. It writes the status of what others created and never their spec;
`update` and `patch` of a run itself are for its finalizer, `delete` is for ttlSecondsAfterFinished.
*/}}
{{- define "tarana-operator.rules" -}}
- apiGroups: [tarana.dev]
  resources: [taranaconnections]
  verbs: [get, list, watch]
- apiGroups: [tarana.dev]
  resources: [taranaconnections/status, taranasyncs/status]
  verbs: [update, patch]
- apiGroups: [tarana.dev]
  resources: [taranasyncs]
  verbs: [get, list, watch, update, patch, delete]
# Credentials and certificates that a connection names; watched, so that a new password is tried at once.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
