"""The chart, rendered by helm itself and held against the schemas that Kubernetes and KEDA publish."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import prometheus_client
import pytest
import yaml

from deploy.servers.helm import helm_and_keda
from shared.errors import ServerError
from shared.settings import Settings, load
from tests.conftest import missing

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "linewarden"
KUBERNETES = "1.37"
ROLES = ("ingest", "detector", "alerting")
SCALED = (
    "autoscaling.enabled=true",
    "autoscaling.prometheus=http://prometheus:9090",
    "autoscaling.framesPerReplica=40",
)
_LET_IN = "networkPolicy.from[0].podSelector.matchLabels.app=prometheus"
SETS: dict[str, tuple[str, ...]] = {
    "defaults": (),
    "gpu": ("detector.gpu=true", *SCALED),
    "existing secret": ("existingSecret=line", "autoscaling.maxReplicas=8", *SCALED),
    "watched": (_LET_IN, "networkPolicy.enabled=true", "metrics.serviceMonitor.enabled=true", "detector.surge=false"),
}
Render = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def tools() -> tuple[Path, Path]:
    """Return helm and KEDA's schema."""
    try:
        return helm_and_keda()
    except ServerError as error:
        missing(str(error))


def template(helm: Path, *settings: str) -> subprocess.CompletedProcess[str]:
    """Render the chart with these values."""
    words = [word for setting in settings for word in ("--set", setting)]
    command = [str(helm), "template", "plant", str(CHART), "--namespace", "line", "--kube-version", KUBERNETES, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def render(tools: tuple[Path, Path]) -> Render:
    """Return what renders the chart to manifests."""

    def rendered(*settings: str) -> list[dict[str, Any]]:
        done = template(tools[0], *settings)
        assert done.returncode == 0, done.stderr
        return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]

    return rendered


def of_kind(manifests: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    """Return the manifests of a kind by their role, or by their name where they are of none."""
    found = [manifest for manifest in manifests if manifest["kind"] == kind]
    return {one["metadata"]["labels"].get("app.kubernetes.io/component", one["metadata"]["name"]): one for one in found}


def container(deployment: dict[str, Any]) -> dict[str, Any]:
    """Return a deployment's one container."""
    (only,) = deployment["spec"]["template"]["spec"]["containers"]
    found: dict[str, Any] = only
    return found


def test_helm_finds_no_fault(tools: tuple[Path, Path]) -> None:
    """Its linter passes, warnings and all."""
    done = subprocess.run([tools[0], "lint", "--strict", CHART], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", SETS)
def test_every_manifest_fits_the_published_schemas(render: Render, tools: tuple[Path, Path], name: str) -> None:
    """Kubernetes' own, strictly, and KEDA's; only the Prometheus operator's monitor has none here."""
    schema = yaml.safe_load(tools[1].read_text(encoding="utf-8"))["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    checked = 0
    for manifest in render(*SETS[name]):
        if manifest["kind"] == "ScaledObject":
            jsonschema.Draft202012Validator(schema).validate(manifest)
        elif manifest["kind"] != "ServiceMonitor":
            kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
        checked += 1
    assert checked >= 11


def test_a_manifest_that_fits_no_schema_is_found(render: Render) -> None:
    """The check above can fail."""
    deployment = of_kind(render(), "Deployment")["detector"]
    deployment["spec"]["replica"] = 3
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, KUBERNETES, strict=True)


def test_each_role_runs_without_root_and_writes_nowhere(render: Render) -> None:
    """One deployment each, with probes, limits, and nothing that it could change."""
    deployments = of_kind(render(), "Deployment")
    assert sorted(deployments) == sorted(ROLES)
    for deployment in deployments.values():
        pod, only = deployment["spec"]["template"]["spec"], container(deployment)
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert only["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"requests", "limits"} <= only["resources"].keys()
        assert all(f"{probe}Probe" in only for probe in ("startup", "readiness", "liveness"))


def test_owners_of_cameras_and_gates_are_never_two(render: Render) -> None:
    """Ingest and alerting stop before the next starts; detectors roll."""
    deployments = of_kind(render(), "Deployment")
    for role in ("ingest", "alerting"):
        assert (deployments[role]["spec"]["replicas"], deployments[role]["spec"]["strategy"]) == (
            1,
            {"type": "Recreate"},
        )
    assert deployments["detector"]["spec"]["strategy"]["type"] == "RollingUpdate"


def test_a_gpu_is_asked_for_only_where_it_is_wanted(render: Render) -> None:
    """By the detector alone."""
    for settings, wanted in (((), 0), (("detector.gpu=true",), 1)):
        for role, deployment in of_kind(render(*settings), "Deployment").items():
            asked = container(deployment)["resources"]["limits"].get("nvidia.com/gpu", 0)
            assert asked == (wanted if role == "detector" else 0)


def test_disruption_budgets_and_services_select_the_pods_of_their_role(render: Render) -> None:
    """Their labels are those of the deployment's pods, and of no other role's."""
    manifests = render()
    deployments = of_kind(manifests, "Deployment")
    for role in ROLES:
        selectors = [
            of_kind(manifests, "PodDisruptionBudget")[role]["spec"]["selector"]["matchLabels"],
            of_kind(manifests, "Service")[role]["spec"]["selector"],
        ]
        for selector in selectors:
            fits = [
                other
                for other, deployment in deployments.items()
                if selector.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
            ]
            assert fits == [role]


def test_the_variables_and_the_configuration_are_settings(
    render: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each role's process would start with them; a pod's name will do as a member of the group."""
    manifests = render()
    (secret,) = of_kind(manifests, "Secret").values()
    config = tmp_path / "line.toml"
    config.write_text(secret["stringData"]["line.toml"], encoding="utf-8")
    assert tomllib.loads(config.read_text(encoding="utf-8"))["lines"]
    for deployment in of_kind(manifests, "Deployment").values():
        for variable in container(deployment)["env"]:
            monkeypatch.setenv(variable["name"], variable.get("value", "plant-linewarden-detector-6d5f7b8c9d-x2x4z"))
    settings: Settings = load(config)
    assert settings.metrics.port == 9400
    assert settings.metrics.host == "0.0.0.0"  # noqa: S104 - a pod's own network
    assert settings.detector.member.endswith("x2x4z")
    assert str(settings.detector.model) == "/models/lite"


def test_detectors_scale_on_deadlines_and_not_beyond_the_partitions(render: Render) -> None:
    """KEDA owns the number of replicas, asks Prometheus for metrics that there are, and never goes to zero."""
    manifests = render(*SCALED)
    assert "replicas" not in of_kind(manifests, "Deployment")["detector"]["spec"]
    spec = of_kind(manifests, "ScaledObject")["detector"]["spec"]
    assert spec["scaleTargetRef"]["name"] == of_kind(manifests, "Deployment")["detector"]["metadata"]["name"]
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (1, 1)
    queries = " ".join(trigger["metadata"]["query"] for trigger in spec["triggers"])
    assert "linewarden_deadline_used_ratio_bucket" in queries
    exposed = prometheus_client.generate_latest().decode()
    for name in set(re.findall(r"linewarden_\w+", queries)):
        family = re.sub(r"_(bucket|count|total)$", "", name)
        assert f"# TYPE {family}" in exposed or f"# TYPE {name}" in exposed


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (("detector.gpu=2",), "detector"),
        (("autoscaling.enabled=true",), "framesPerReplica"),
        ((*SCALED, "autoscaling.maxReplicas=9"), "has 1 partitions of frames"),
        ((*SCALED, "existingSecret=line"), "maxReplicas must be set with existingSecret"),
        (("terminationGracePeriodSeconds=1",), "parts in hand"),
        (("ingest.replica=2",), "replica"),
    ],
)
def test_values_that_would_not_do_are_refused(tools: tuple[Path, Path], settings: tuple[str, ...], says: str) -> None:
    """With what is wrong about them."""
    done = template(tools[0], *settings)
    assert done.returncode != 0
    assert says in done.stderr
