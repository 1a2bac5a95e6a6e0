{{- define "kitestring.fullname" -}}
{{- .Values.fullnameOverride | default .Release.Name | trunc 40 | trimSuffix "-" | trimSuffix "." -}}
{{- end -}}

{{- define "kitestring.shared" -}}
{{ include "kitestring.fullname" . }}-jobs
{{- end -}}

{{- define "kitestring.pods" -}}
app.kubernetes.io/name: kitestring
app.kubernetes.io/instance: {{ include "kitestring.fullname" . | quote }}
{{- end -}}

{{/* of the root context and a component */}}
{{- define "kitestring.labels" -}}
{{- $root := index . 0 -}}
{{ include "kitestring.pods" $root }}
app.kubernetes.io/component: {{ index . 1 | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ $root.Chart.Name }}-{{ $root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "kitestring.image" -}}
{{- with .Values.image -}}
{{- $name := list .registry .repository | compact | join "/" -}}
{{- if .digest -}}{{ $name }}@{{ .digest }}{{- else -}}{{ $name }}:{{ .tag | default $.Chart.AppVersion }}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "kitestring.account" -}}
{{- if .Values.serviceAccount.name -}}{{ .Values.serviceAccount.name }}
{{- else if .Values.serviceAccount.create -}}{{ include "kitestring.shared" . }}
{{- else -}}default{{- end -}}
{{- end -}}

{{- define "kitestring.configmap" -}}
{{- .Values.spec.existingConfigMap | default (include "kitestring.shared" .) -}}
{{- end -}}

{{- define "kitestring.claim" -}}
{{- .Values.state.existingClaim | default (include "kitestring.shared" .) -}}
{{- end -}}
