{{- define "monitor.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "monitor.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "monitor.name" . -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "monitor.selector" -}}
app.kubernetes.io/name: {{ include "monitor.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "monitor.labels" -}}
{{ include "monitor.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "monitor.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "monitor.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{- define "monitor.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ with .Values.image.digest }}@{{ . }}{{ end }}
{{- end -}}

{{- /* How many pods; SQLite is a file of one process. */ -}}
{{- define "monitor.replicas" -}}
{{- $replicas := get .Values "replicas" | default (ternary 2 1 (eq .Values.storage.type "postgres")) | int -}}
{{- if and (gt $replicas 1) (eq .Values.storage.type "sqlite") -}}
{{- fail (printf "replicas is %d, but with storage.type sqlite there can be only one: an SQLite file belongs to one process. Set storage.type to postgres, or replicas to 1." $replicas) -}}
{{- end -}}
{{- $replicas -}}
{{- end -}}

{{- /* monitor.yaml: what the values say of organizations, storage and web, and config for the rest. */ -}}
{{- define "monitor.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- $organizations := list -}}
{{- range $i, $o := .Values.organizations -}}
{{- $organizations = append $organizations (merge (dict "admin_key" (printf "file:/run/secrets/monitor/organization-%d" $i)) (pick $o "name" "reports" "base_url")) -}}
{{- end -}}
{{- $_ := set $config "organizations" $organizations -}}
{{- if eq .Values.storage.type "postgres" -}}
{{- $_ := set $config "storage" (dict "postgres" (dict "url" "file:/run/secrets/monitor/database")) -}}
{{- else -}}
{{- $_ := set $config "storage" (dict "sqlite" (dict "path" "/data/monitor.db")) -}}
{{- end -}}
{{- $web := merge (dict "listen" ":9599") (get $config "web" | default dict) -}}
{{- if .Values.webConfigSecret -}}
{{- $_ := set $web "config_file" "/run/secrets/monitor-web/web.yml" -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not (get $web "external_url")) -}}
{{- $_ := set $web "external_url" (printf "%s://%s" (ternary "https" "http" (ne .Values.ingress.tlsSecret "")) .Values.ingress.host) -}}
{{- end -}}
{{- $_ := set $config "web" $web -}}
{{- toYaml $config -}}
{{- end -}}
