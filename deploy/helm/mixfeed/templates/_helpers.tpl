{{/* What names of objects begin with: the release's name, with the chart's in it once. */}}
{{- define "mixfeed.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{/* What pods are chosen by: (list $ "loader"). */}}
{{- define "mixfeed.selector" -}}
app.kubernetes.io/name: mixfeed-{{ index . 1 }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name | quote }}
{{- end -}}

{{/* The labels of an object: (list $ "loader"). */}}
{{- define "mixfeed.labels" -}}
{{ include "mixfeed.selector" . }}
app.kubernetes.io/part-of: mixfeed
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
{{- end -}}

{{/* An image: (list $ "mixfeed-loader"). */}}
{{- define "mixfeed.image" -}}
{{- $images := (index . 0).Values.images -}}
{{ printf "%s/%s:%s" $images.registry (index . 1) ($images.tag | default (index . 0).Chart.AppVersion) | quote }}
{{- end -}}

{{/* Where programs run: as nobody in particular. */}}
{{- define "mixfeed.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "mixfeed.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Further settings, as variables. */}}
{{- define "mixfeed.env" -}}
{{- range $name, $value := . }}
- {name: {{ $name }}, value: {{ $value | toString | quote }}}
{{- end }}
{{- end -}}

{{- define "mixfeed.loaderSecret" -}}
{{ .Values.tls.loaderSecret | default (printf "%s-loader-tls" (include "mixfeed.fullname" .)) | quote }}
{{- end -}}

{{- define "mixfeed.trainerSecret" -}}
{{ .Values.tls.trainerSecret | default (printf "%s-trainer-tls" (include "mixfeed.fullname" .)) | quote }}
{{- end -}}

{{- define "mixfeed.dataClaim" -}}
{{ .Values.sharedData.existingClaim | default (printf "%s-data" (include "mixfeed.fullname" .)) | quote }}
{{- end -}}
