{{- define "linewarden.deployment" -}}
{{- $values := index .root.Values .role -}}
{{- $detects := eq .role "detector" -}}
{{- $pair := and (eq .role "alerting") $values.standby -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "linewarden.name" .root }}-{{ .role }}
  labels:
    {{- include "linewarden.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .role }}
spec:
{{- if $detects }}
  # A Deployment, not a StatefulSet: a container that crashes keeps its pod's name, and so its place in Kafka's group; a
  # replica that stops in order leaves the group. For the pod of a lost node a StatefulSet would wait until somebody
  # deletes it, where this starts another at once.
{{- if not .root.Values.autoscaling.enabled }}
  replicas: {{ $values.replicas }}
{{- end }}
  # Time to join Kafka's group, which the next replica's turn waits for.
  minReadySeconds: 15
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxSurge: {{ ternary 1 0 $values.surge }}
      maxUnavailable: {{ ternary 0 1 $values.surge }}
{{- else if $pair }}
  # One signals for each line, the other stands by. At an upgrade one goes after the other, each handing its lines over.
  replicas: 2
  minReadySeconds: 5
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxSurge: 0
      maxUnavailable: 1
{{- else }}
  # The one owner of its cameras or gates: the next starts when the last is gone.
  replicas: 1
  strategy:
    type: Recreate
{{- end }}
  selector:
    matchLabels:
      {{- include "linewarden.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "linewarden.labels" .root | nindent 8 }}
        app.kubernetes.io/component: {{ .role }}
      {{- if not .root.Values.existingSecret }}
      annotations:
        # Settings are read once: other ones are other pods.
        checksum/configuration: {{ .root.Values.configuration | sha256sum }}
      {{- end }}
    spec:
      serviceAccountName: {{ include "linewarden.name" .root }}
      automountServiceAccountToken: false
      # The variables that Kubernetes makes of services' names could begin as ours do, and be refused as unknown settings.
      enableServiceLinks: false
      terminationGracePeriodSeconds: {{ .root.Values.terminationGracePeriodSeconds }}
      {{- with .root.Values.image.pullSecrets }}
      imagePullSecrets:
        {{- range . }}
        - name: {{ . }}
        {{- end }}
      {{- end }}
      securityContext:
        runAsNonRoot: true
        runAsUser: 10001
        runAsGroup: 10001
        fsGroup: 10001
        fsGroupChangePolicy: OnRootMismatch
        seccompProfile:
          type: RuntimeDefault
      {{- with $values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- if or $detects $pair }}
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "linewarden.selector" . | nindent 14 }}
      {{- end }}
      containers:
        - name: {{ .role }}
          image: {{ printf "%s-%s:%s" .root.Values.image.repository .role (.root.Values.image.tag | default .root.Chart.AppVersion) | quote }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          env:
            - name: LINEWARDEN_LOG__FORMAT
              value: json
            - name: LINEWARDEN_METRICS__PORT
              value: {{ .root.Values.metrics.port | quote }}
            - name: LINEWARDEN_METRICS__HOST
              value: 0.0.0.0
            {{- if $detects }}
            - name: LINEWARDEN_DETECTOR__MODEL
              value: /models/{{ .root.Values.model.folder }}
            - name: LINEWARDEN_DETECTOR__MEMBER
              valueFrom:
                fieldRef:
                  fieldPath: metadata.name
            {{- end }}
            {{- if $pair }}
            - name: LINEWARDEN_ALERTING__STANDBY
              value: "true"
            - name: LINEWARDEN_ALERTING__MEMBER
              valueFrom:
                fieldRef:
                  fieldPath: metadata.name
            {{- end }}
          ports:
            - name: metrics
              containerPort: {{ .root.Values.metrics.port }}
          # The page comes when Kafka and Redis have answered and the model is loaded: five minutes for that.
          startupProbe:
            httpGet: {path: /metrics, port: metrics}
            periodSeconds: 2
            timeoutSeconds: 2
            failureThreshold: 150
          readinessProbe:
            httpGet: {path: /metrics, port: metrics}
            periodSeconds: 5
            timeoutSeconds: 3
          # Patient, since an engine that has all cores keeps the page waiting, and a restart costs parts.
          livenessProbe:
            httpGet: {path: /metrics, port: metrics}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          {{- $resources := deepCopy $values.resources }}
          {{- if and $detects $values.gpu }}
          {{- $_ := set $resources "limits" (merge (dict "nvidia.com/gpu" 1) ($resources.limits | default dict)) }}
          {{- end }}
          resources:
            {{- toYaml $resources | nindent 12 }}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities:
              drop: [ALL]
          volumeMounts:
            - name: configuration
              mountPath: /etc/linewarden
              readOnly: true
            - name: tmp
              mountPath: /tmp
            {{- if $detects }}
            - name: models
              mountPath: /models
              readOnly: true
            {{- end }}
      volumes:
        - name: configuration
          secret:
            secretName: {{ include "linewarden.secret" .root }}
            defaultMode: 0440
            items:
              - key: line.toml
                path: line.toml
        - name: tmp
          emptyDir:
            sizeLimit: 256Mi
        {{- if $detects }}
        - name: models
          persistentVolumeClaim:
            claimName: {{ .root.Values.model.claim }}
            readOnly: true
        {{- end }}
{{- end -}}
