{{- define "linewarden.name" -}}
{{- /* Pods' names are members' names, so without dots; short enough that Kubernetes cuts none of it. */ -}}
{{- $name := ternary .Release.Name (printf "%s-linewarden" .Release.Name) (contains "linewarden" .Release.Name) -}}
{{- $name | replace "." "-" | trunc 36 | trimSuffix "-" -}}
{{- end -}}

{{- define "linewarden.selector" -}}
app.kubernetes.io/name: linewarden
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .role }}
{{- end -}}

{{- define "linewarden.labels" -}}
app.kubernetes.io/name: linewarden
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "linewarden.secret" -}}
{{- .Values.existingSecret | default (include "linewarden.name" .) -}}
{{- end -}}

{{- define "linewarden.parsed" -}}
{{- $parsed := fromToml .Values.configuration -}}
{{- with $parsed.Error }}{{ fail (printf "configuration is not TOML: %s" .) }}{{ end -}}
{{- toJson $parsed -}}
{{- end -}}

{{- define "linewarden.drainSeconds" -}}
{{- /* As deploy/app.py has it, with the defaults of shared/settings.py. */ -}}
{{- $parsed := include "linewarden.parsed" . | fromJson -}}
{{- $drain := $parsed.drain_s | default 5.0 | float64 -}}
{{- range $parsed.lines | default (list dict) -}}
{{- $drain = maxf $drain (addf (divf (.gate_delay_ms | default 1500) 1000) 1) -}}
{{- end -}}
{{- $drain -}}
{{- end -}}

{{- define "linewarden.checkStandby" -}}
{{- /* As shared/settings_checks.py has it, before anything is installed. */ -}}
{{- $parsed := include "linewarden.parsed" . | fromJson -}}
{{- range $section := list "bus" "store" -}}
{{- $url := (index $parsed $section | default dict).url | default "memory://" -}}
{{- if eq $url "memory://" -}}
{{- fail (printf "alerting.standby is for pods that share a %s, but the configuration's %s.url is memory://" $section $section) -}}
{{- end -}}
{{- end -}}
{{- with ($parsed.alerting | default dict).journal -}}
{{- fail "alerting.standby goes without alerting.journal: each pod would write only what it decides itself" -}}
{{- end -}}
{{- end -}}

{{- define "linewarden.partitions" -}}
{{- $parsed := include "linewarden.parsed" . | fromJson -}}
{{- $count := 0 -}}
{{- range $parsed.lines | default (list dict) -}}
{{- range .cameras | default (list dict) -}}
{{- $count = add $count (int (.partitions | default 1)) -}}
{{- end -}}
{{- end -}}
{{- $count -}}
{{- end -}}

{{- define "linewarden.maxReplicas" -}}
{{- $most := .Values.autoscaling.maxReplicas -}}
{{- if not .Values.existingSecret -}}
{{- $partitions := include "linewarden.partitions" . | int -}}
{{- $most = $most | default $partitions -}}
{{- if gt (int $most) $partitions -}}
{{- fail (printf "autoscaling.maxReplicas is %d, but the configuration has %d partitions of frames: more replicas would have nothing to read. Leave it null, or give a fast camera several partitions." (int $most) $partitions) -}}
{{- end -}}
{{- else if not $most -}}
{{- fail "autoscaling.maxReplicas must be set with existingSecret: at most the partitions of frames, which `linewarden topics plan` prints" -}}
{{- end -}}
{{- if lt (int $most) (int .Values.autoscaling.minReplicas) -}}
{{- fail (printf "autoscaling.minReplicas is %d, more than the %d replicas that there can be" (int .Values.autoscaling.minReplicas) (int $most)) -}}
{{- end -}}
{{- int $most -}}
{{- end -}}
