{{- define "operator.name" -}}
{{- .Values.fullnameOverride | default "learningplatform-operator" -}}
{{- end -}}

{{- define "operator.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "operator.name" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "operator.selector" -}}
app.kubernetes.io/name: learningplatform-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "operator.labels" -}}
{{ include "operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: learningplatform
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "operator.image" -}}
{{- $registry := .Values.global.imageRegistry | default .Values.image.registry -}}
{{- $name := ternary (printf "%s/%s" $registry .Values.image.repository) .Values.image.repository (ne $registry "") -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $name .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* "true" where a switch is on, or where it is auto and the cluster serves the API. */}}
{{- define "operator.switch" -}}
{{- if eq (toString .switch) "auto" -}}
{{- if .root.Capabilities.APIVersions.Has .api -}}true{{- end -}}
{{- else if .switch -}}true{{- end -}}
{{- end -}}

{{/* What the operator may do in the namespaces it watches; operator/src/rbac.rs has the same table, and a test compares. */}}
{{- define "operator.rules" -}}
- apiGroups: [learningplatform.dev]
  resources: [learningplatforms]
  verbs: [get, list, patch, watch]
- apiGroups: [learningplatform.dev]
  resources: [learningplatforms/status]
  verbs: [patch]
# Clusters that check owner references ask for this before a child may name its platform.
- apiGroups: [learningplatform.dev]
  resources: [learningplatforms/finalizers]
  verbs: [update]
# Stores are restarted pod by pod, each when its turn has come.
- apiGroups: [""]
  resources: [pods]
  verbs: [delete, list, watch]
# By name only, as a platform refers to them: no list, no watch.
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [get]
# Of stores in the cluster: their configuration, and the record of their data.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [create, delete, get, list, patch, watch]
# Made and removed by StatefulSets, or made for volumes that are there; only ever enlarged.
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [create, get, list, patch, watch]
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [create, delete, get, list, patch, watch]
# Credentials are read by name, and noticed when they change; each app's connections are written. Only metadata is watched.
- apiGroups: [""]
  resources: [secrets]
  verbs: [create, delete, get, list, patch, watch]
- apiGroups: [gateway.networking.k8s.io]
  resources: [gateways]
  verbs: [get]
- apiGroups: [""]
  resources: [services]
  verbs: [create, delete, get, list, patch, watch]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [create, delete, get, list, patch, watch]
- apiGroups: [batch]
  resources: [cronjobs, jobs]
  verbs: [create, delete, get, list, patch, watch]
- apiGroups: [apps]
  resources: [deployments/scale]
  verbs: [get, patch]
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [list]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [create, delete, get, list, patch, watch]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [create, delete, get, list, patch, watch]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [create, delete, get, list, patch, watch]
- apiGroups: [networking.k8s.io]
  resources: [ingresses, networkpolicies]
  verbs: [create, delete, get, list, patch, watch]
- apiGroups: [monitoring.coreos.com]
  resources: [podmonitors]
  verbs: [create, delete, get, list, patch, watch]
- apiGroups: [barmancloud.cnpg.io]
  resources: [objectstores]
  verbs: [create, delete, get, list, patch, watch]
- apiGroups: [postgresql.cnpg.io]
  resources: [clusters, scheduledbackups]
  verbs: [create, delete, get, list, patch, watch]
# Backups of databases; their deletion is what keeps no more of them than were asked for.
- apiGroups: [snapshot.storage.k8s.io]
  resources: [volumesnapshots]
  verbs: [create, delete, get, list, patch, watch]
- apiGroups: [cert-manager.io]
  resources: [certificates]
  verbs: [create, delete, get, list, patch, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{/* "true" where it may see to the volumes of stores. */}}
{{- define "operator.persistentVolumes" -}}
{{- if eq (toString .Values.rbac.persistentVolumes) "auto" -}}
{{- if not .Values.watchNamespaces }}true{{ end -}}
{{- else if .Values.rbac.persistentVolumes -}}true{{- end -}}
{{- end -}}

{{/* What it reads that has no namespace. */}}
{{- define "operator.clusterRules" -}}
{{- if include "operator.persistentVolumes" . -}}
# So that the data of stores outlive their namespace. Only volumes of stores are asked for, by label or by name.
- apiGroups: [""]
  resources: [persistentvolumes]
  verbs: [get, list, patch]
{{ end -}}
# Whether the node of a lost primary is off: proof without which no replica takes its place.
- apiGroups: [""]
  resources: [nodes]
  verbs: [get]
- apiGroups: [networking.k8s.io]
  resources: [ingressclasses]
  verbs: [get]
# Whether the Gateway API is of the experimental channel, which knows session affinity.
- apiGroups: [apiextensions.k8s.io]
  resources: [customresourcedefinitions]
  resourceNames: [httproutes.gateway.networking.k8s.io]
  verbs: [get]
{{- end -}}

{{/* What it does in its own namespace: elect a leader. */}}
{{- define "operator.leaseRules" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create, get, update]
{{- end -}}
