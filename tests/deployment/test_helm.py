"""The Helm chart as manifests: rendered by the real Helm, held against the published schemas and our own settings."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from deploy.app import _SETTLE_S
from deploy.servers.helm_tools import definition
from shared.settings import from_dict
from tests.deployment.chart import (
    CHART,
    DEFAULTS,
    EXISTING,
    KUBERNETES,
    PAIR,
    ROLES,
    SCALED,
    VALUES,
    Chart,
    container,
    of_kind,
)

every_values = pytest.mark.parametrize("values", VALUES.values(), ids=VALUES.keys())


def schema_of(kind: str, api_version: str) -> dict[str, Any]:
    """Return the schema of somebody else's resource, in which an unknown name is an error."""
    resource = yaml.safe_load(definition(kind).read_text(encoding="utf-8"))
    group = resource["spec"]["group"]
    (version,) = (one for one in resource["spec"]["versions"] if f"{group}/{one['name']}" == api_version)
    schema: dict[str, Any] = closed(version["schema"]["openAPIV3Schema"])
    return schema


def closed(schema: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """Return the schema, refusing what it does not name: the API server would drop it in silence."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(part) for key, part in schema.items()}
    if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema:
        found["additionalProperties"] = False
    return found


def check(manifest: dict[str, Any]) -> None:
    """Raise where the manifest does not match its published schema."""
    if manifest["kind"] in {"ScaledObject", "ServiceMonitor"}:
        jsonschema.validate(manifest, schema_of(manifest["kind"], manifest["apiVersion"]))
    else:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


@every_values
def test_helms_linter_is_content(chart: Chart, values: dict[str, Any]) -> None:
    """Warnings are errors."""
    chart.lint(values)


@every_values
def test_every_manifest_matches_its_published_schema(chart: Chart, values: dict[str, Any]) -> None:
    """Kubernetes' own, KEDA's and the Prometheus operator's; an unknown name is an error."""
    manifests = chart.render(values)
    for manifest in manifests:
        check(manifest)
    kinds = {manifest["kind"] for manifest in manifests}
    assert {"Deployment", "PodDisruptionBudget", "Service", "ServiceAccount"} <= kinds
    assert kinds >= {"ScaledObject", "ServiceMonitor", "NetworkPolicy"} or values is not SCALED


@pytest.mark.parametrize(
    ("kind", "place"), [("Deployment", ""), ("ScaledObject", ""), ("ServiceMonitor", "endpoints"), ("Service", "")]
)
def test_a_misspelt_name_does_not_match(chart: Chart, kind: str, place: str) -> None:
    """The schemas see it: a check that lets everything through would be none."""
    manifest = next(one for one in chart.render(SCALED) if one["kind"] == kind)
    (manifest["spec"][place][0] if place else manifest["spec"])["mispelt"] = 1
    with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
        check(manifest)


@every_values
@pytest.mark.parametrize("role", ROLES)
def test_pods_are_unprivileged(chart: Chart, role: str, values: dict[str, Any]) -> None:
    """No root, nothing to write to but /tmp, no capabilities, no token, and limits on what they take."""
    deployment = of_kind(chart.render(values), "Deployment")[role]
    pod, only = deployment["spec"]["template"]["spec"], container(deployment)
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert only["resources"]["limits"].keys() >= {"cpu", "memory"}
    writable = [mount["mountPath"] for mount in only["volumeMounts"] if not mount.get("readOnly")]
    assert writable == ["/tmp"]  # noqa: S108 - a path in the container
    users = re.findall(r"--uid (\d+)", (CHART.parents[1] / "containers" / "Dockerfile").read_text(encoding="utf-8"))
    assert users == ["10001"]


@every_values
@pytest.mark.parametrize("role", ROLES)
def test_probes_read_the_page_of_metrics(chart: Chart, role: str, values: dict[str, Any]) -> None:
    """On the port that the process is told to serve it on, to everybody."""
    only = container(of_kind(chart.render(values), "Deployment")[role])
    told = {entry["name"]: entry.get("value") for entry in only["env"]}
    port = values.get("metrics", {}).get("port", 9400)
    assert told["LINEWARDEN_METRICS__PORT"] == str(port)
    assert told["LINEWARDEN_METRICS__HOST"] == "0.0.0.0"  # noqa: S104 - what the container is told
    assert only["ports"] == [{"name": "metrics", "containerPort": port}]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert only[probe]["httpGet"] == {"path": "/metrics", "port": "metrics"}


@every_values
@pytest.mark.parametrize("role", ROLES)
def test_roles_get_settings_that_there_are(
    chart: Chart, role: str, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Environment and file are read as the role reads them; a pod's longest name is a member's name."""
    manifests = chart.render(values, release="a.release-with-a-name-as-long-as-helm-allows-them-53")
    deployment = of_kind(manifests, "Deployment")[role]
    pod_name = f"{deployment['metadata']['name']}-6b9c7d8f5c-x2k4z"
    # Another service of the namespace, which Kubernetes would tell of in such a variable.
    if deployment["spec"]["template"]["spec"]["enableServiceLinks"]:
        monkeypatch.setenv("LINEWARDEN_CONSOLE_SERVICE_HOST", "10.0.0.1")
    for entry in container(deployment)["env"]:
        if "valueFrom" in entry:
            assert entry["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
        monkeypatch.setenv(entry["name"], entry.get("value", pod_name))
    secrets = of_kind(manifests, "Secret")
    settings = from_dict(tomllib.loads(secrets[""]["stringData"]["line.toml"]) if secrets else {})
    assert settings.detector.member == (pod_name if role == "detector" else "detector-0")
    standby = role == "alerting" and values is PAIR
    assert settings.alerting.standby is standby
    assert settings.alerting.member == (pod_name if standby else "alerting-0")
    assert bool(secrets) == (values is not EXISTING)


@every_values
def test_settings_come_from_a_secret(chart: Chart, values: dict[str, Any]) -> None:
    """The chart's own, or the one that is there; and other settings are other pods."""
    manifests = chart.render(values)
    secrets = of_kind(manifests, "Secret")
    for deployment in of_kind(manifests, "Deployment").values():
        template = deployment["spec"]["template"]
        volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
        expected = secrets[""]["metadata"]["name"] if secrets else "plant-settings"
        assert volumes["configuration"]["secret"]["secretName"] == expected
    if secrets:
        changed = {**values, "configuration": secrets[""]["stringData"]["line.toml"] + "\n[ingest]\nspool_mib = 32\n"}
        before, after = (of_kind(chart.render(one), "Deployment") for one in (values, changed))
        assert all(before[role]["spec"]["template"] != after[role]["spec"]["template"] for role in ROLES)


@every_values
def test_the_model_is_mounted_to_be_read(chart: Chart, values: dict[str, Any]) -> None:
    """For detectors alone, from the claim, where their settings look for it."""
    for role, deployment in of_kind(chart.render(values), "Deployment").items():
        volumes = [volume for volume in deployment["spec"]["template"]["spec"]["volumes"] if volume["name"] == "models"]
        if role != "detector":
            assert not volumes
            continue
        assert volumes[0]["persistentVolumeClaim"] == {"claimName": "linewarden-models", "readOnly": True}
        told = {entry["name"]: entry.get("value") for entry in container(deployment)["env"]}
        assert told["LINEWARDEN_DETECTOR__MODEL"] == "/models/lite"


@every_values
def test_pods_have_time_to_drain(chart: Chart, values: dict[str, Any]) -> None:
    """As long as `deploy.app.run` takes at most, where the chart knows the settings."""
    manifests = chart.render(values)
    secrets = of_kind(manifests, "Secret")
    settings = from_dict(tomllib.loads(secrets[""]["stringData"]["line.toml"]) if secrets else {})
    last_part_s = max(line.gate_delay_ms for line in settings.lines) / 1_000 + _SETTLE_S
    for deployment in of_kind(manifests, "Deployment").values():
        pod = deployment["spec"]["template"]["spec"]
        assert pod["terminationGracePeriodSeconds"] > max(settings.drain_s, last_part_s)


@every_values
def test_selectors_find_their_own_role_alone(chart: Chart, values: dict[str, Any]) -> None:
    """Deployment, budget and service of a role select its pods and no others'; the monitor finds all services."""
    manifests = chart.render(values)
    pods = {
        role: deployment["spec"]["template"]["metadata"]["labels"]
        for role, deployment in of_kind(manifests, "Deployment").items()
    }
    assert pods.keys() == set(ROLES)

    def selected(selector: dict[str, str]) -> set[str]:
        return {role for role, labels in pods.items() if selector.items() <= labels.items()}

    for role in ROLES:
        assert selected(of_kind(manifests, "Deployment")[role]["spec"]["selector"]["matchLabels"]) == {role}
        assert selected(of_kind(manifests, "PodDisruptionBudget")[role]["spec"]["selector"]["matchLabels"]) == {role}
        service = of_kind(manifests, "Service")[role]
        assert selected(service["spec"]["selector"]) == {role}
        assert service["spec"]["clusterIP"] == "None"
        for monitor in of_kind(manifests, "ServiceMonitor").values():
            wanted = monitor["spec"]["selector"]["matchLabels"]
            assert wanted.items() <= service["metadata"]["labels"].items()
            assert monitor["spec"]["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]


@pytest.mark.parametrize("values", [DEFAULTS, SCALED, EXISTING], ids=["defaults", "scaled", "existing"])
@pytest.mark.parametrize("role", ["ingest", "alerting"])
def test_cameras_and_gates_have_one_owner(chart: Chart, role: str, values: dict[str, Any]) -> None:
    """The next starts when the last is gone, and no drain of a node stops it unasked."""
    manifests = chart.render(values)
    spec = of_kind(manifests, "Deployment")[role]["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "Recreate"}
    assert of_kind(manifests, "PodDisruptionBudget")[role]["spec"]["maxUnavailable"] == 0


@pytest.mark.parametrize("existing", [False, True])
def test_a_standby_is_a_second_pod(chart: Chart, existing: bool) -> None:
    """Two on different nodes where there are two, of which one may always go; ingest stays one."""
    manifests = chart.render({**(EXISTING if existing else {}), **PAIR})
    deployment = of_kind(manifests, "Deployment")["alerting"]
    assert deployment["spec"]["replicas"] == 2
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    (spread,) = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert spread["topologyKey"] == "kubernetes.io/hostname"
    assert spread["labelSelector"]["matchLabels"] == deployment["spec"]["selector"]["matchLabels"]
    assert of_kind(manifests, "PodDisruptionBudget")["alerting"]["spec"]["maxUnavailable"] == 1
    assert of_kind(manifests, "Deployment")["ingest"]["spec"]["replicas"] == 1


def test_a_gpu_is_asked_for_only_where_there_is_one(chart: Chart) -> None:
    """With the node's labels and tolerations; and without one to spare, an old replica goes first."""
    plain = of_kind(chart.render(DEFAULTS), "Deployment")
    assert all("nvidia.com/gpu" not in str(deployment) for deployment in plain.values())
    with_gpu = of_kind(chart.render(SCALED), "Deployment")
    assert container(with_gpu["detector"])["resources"]["limits"] == {"cpu": "2", "memory": "4Gi", "nvidia.com/gpu": 1}
    assert all("nvidia.com/gpu" not in str(with_gpu[role]) for role in ("ingest", "alerting"))
    pod = with_gpu["detector"]["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == SCALED["detector"]["nodeSelector"]
    assert pod["tolerations"] == SCALED["detector"]["tolerations"]
    assert with_gpu["detector"]["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    assert plain["detector"]["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_images_are_those_that_the_dockerfile_makes(chart: Chart) -> None:
    """One for each role, with the chart's version unless another is named."""
    plain, named = (of_kind(chart.render(values), "Deployment") for values in (DEFAULTS, EXISTING))
    for role in ROLES:
        assert container(plain[role])["image"] == f"linewarden-{role}:0.1.0"
        assert container(named[role])["image"] == f"registry.example/linewarden-{role}:1.2.3"
        assert named[role]["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": "pull"}]
    project = tomllib.loads((CHART.parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    about = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert about["appVersion"] == project["version"]


def test_the_network_lets_only_readers_of_metrics_in(chart: Chart) -> None:
    """To the one port that there is."""
    (policy,) = of_kind(chart.render(SCALED), "NetworkPolicy").values()
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    assert policy["spec"]["ingress"] == [{"from": SCALED["networkPolicy"]["from"], "ports": [{"port": "metrics"}]}]
