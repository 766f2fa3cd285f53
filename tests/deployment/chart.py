"""Render the chart with the real Helm, and look into what comes out."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "linewarden"
KUBERNETES = "1.37.0"
ROLES = ("ingest", "detector", "alerting")

DEFAULTS: dict[str, Any] = {}
PARTITIONS = 5
SCALED: dict[str, Any] = {
    "configuration": """
[[lines]]
name = "l"
[[lines.cameras]]
name = "a"
partitions = 3
[[lines.cameras]]
name = "b"
[[lines]]
name = "with-the-default-camera"
""",
    "detector": {
        "gpu": True,
        "surge": False,
        "nodeSelector": {"nvidia.com/gpu.present": "true"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    },
    "autoscaling": {
        "enabled": True,
        "prometheus": "http://prometheus:9090",
        "minReplicas": 2,
        "framesPerReplica": 42.5,
    },
    "metrics": {"serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}},
    "networkPolicy": {
        "enabled": True,
        "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
    },
}
EXISTING: dict[str, Any] = {
    "existingSecret": "plant-settings",
    "image": {"repository": "registry.example/linewarden", "tag": "1.2.3", "pullSecrets": ["pull"]},
    "metrics": {"port": 9500},
}
PAIR: dict[str, Any] = {"alerting": {"standby": True}}
VALUES = {"defaults": DEFAULTS, "scaled": SCALED, "existing": EXISTING, "pair": PAIR}


@dataclass(frozen=True, slots=True)
class Chart:
    """The chart, rendered by `helm`; files of values are written to `folder`."""

    helm: Path
    folder: Path

    def render(self, values: dict[str, Any], *, release: str = "plant") -> list[dict[str, Any]]:
        """Return the manifests; AssertionError with Helm's message where it refuses."""
        done = self._run(values, "template", release, "--namespace", "line")
        assert done.returncode == 0, done.stderr
        return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]

    def refusal(self, values: dict[str, Any]) -> str:
        """Return the message with which `values` are refused."""
        done = self._run(values, "template", "plant")
        assert done.returncode != 0
        return done.stderr

    def lint(self, values: dict[str, Any]) -> str:
        """Return what Helm's linter says; AssertionError where that is an error or a warning."""
        done = self._run(values, "lint", "--strict")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _run(self, values: dict[str, Any], *arguments: str) -> subprocess.CompletedProcess[str]:
        given = self.folder / "values.yaml"
        given.write_text(yaml.safe_dump(values), encoding="utf-8")
        # The user's own settings of Helm have no say, and nothing is left in the user's folders.
        home = {"HOME": str(self.folder), "PATH": os.environ["PATH"]}
        argv: list[str | Path] = [self.helm, *arguments, CHART, "--values", given, "--kube-version", KUBERNETES]
        return subprocess.run(argv, capture_output=True, text=True, check=False, env=home, timeout=60)


def of_kind(manifests: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    """Return the manifests of a kind, by the role that they are for, or `""`."""
    return {
        manifest["metadata"]["labels"].get("app.kubernetes.io/component", ""): manifest
        for manifest in manifests
        if manifest["kind"] == kind
    }


def container(deployment: dict[str, Any]) -> dict[str, Any]:
    """Return the only container."""
    (only,) = deployment["spec"]["template"]["spec"]["containers"]
    found: dict[str, Any] = only
    return found
