"""Helm and the definitions of others' resources, by which the chart is checked: from Go's modules, once for each user.

`python -m deploy.servers.helm_tools` fetches them ahead of time.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from deploy.servers.cache import cache_dir, exclusive
from shared.errors import ServerError

_HELM: Final = ("helm.sh/helm/v3", "v3.22.0")
_DEFINITIONS: Final = {
    "ScaledObject": ("github.com/kedacore/keda/v2", "v2.21.0", "config/crd/bases/keda.sh_scaledobjects.yaml"),
    "ServiceMonitor": (
        "github.com/prometheus-operator/prometheus-operator",
        "v0.85.0",
        "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
    ),
}
_DEADLINE_S: Final = 900
_TAIL_LINES: Final = 6


def helm_program() -> Path:
    """Return Helm, which must have been fetched; raises ServerError where it was not."""
    return _present(_helm_path())


def definition(kind: str) -> Path:
    """Return the CustomResourceDefinition of `kind`, which must have been fetched; raises ServerError otherwise."""
    return _present(_definition_path(kind))


def fetch() -> None:
    """Fill the cache, unless it is full; raise ServerError when Go or a module cannot be had."""
    with exclusive(cache_dir() / "helm-tools.lock"):
        if not _helm_path().exists():
            _build_helm(_helm_path())
        for kind in _DEFINITIONS:
            if not _definition_path(kind).exists():
                _copy_definition(kind)


def main() -> int:
    """Fetch everything; return the exit status."""
    try:
        fetch()
    except ServerError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _helm_path() -> Path:
    return cache_dir() / f"helm-{_HELM[1]}"


def _definition_path(kind: str) -> Path:
    return cache_dir() / f"{kind.lower()}-{_DEFINITIONS[kind][1]}.yaml"


def _present(path: Path) -> Path:
    if not path.exists():
        raise ServerError(f"{path.name} is not here", "Install Go 1.26 and run deploy/install-servers.sh.")
    return path


def _build_helm(target: Path) -> None:
    module, version = _HELM
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f"{target.name}.") as folder:
        _go("install", f"{module}/cmd/helm@{version}", GOBIN=folder)
        (Path(folder) / "helm").rename(target)


def _copy_definition(kind: str) -> None:
    module, version, name = _DEFINITIONS[kind]
    told = json.loads(_go("mod", "download", "-json", f"{module}@{version}"))
    target = _definition_path(kind)
    fresh = target.with_suffix(".fresh")
    shutil.copyfile(Path(told["Dir"]) / name, fresh)
    fresh.rename(target)


def _go(*arguments: str, **environment: str) -> str:
    go = shutil.which("go")
    if go is None:
        raise ServerError("Helm is not here yet, and neither is Go (go), which builds it", "Install Go 1.26.")
    try:
        # Outside of any module, so that none has a say in what is fetched.
        done = subprocess.run(
            [go, *arguments],
            cwd=cache_dir(),
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=_DEADLINE_S,
        )
    except subprocess.TimeoutExpired as error:
        raise ServerError(
            f"go {arguments[0]} did not end within {_DEADLINE_S} s", "Check the connection to Go's module proxy."
        ) from error
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-_TAIL_LINES:])
        raise ServerError(f"go {arguments[0]} failed: {tail}", "Check the connection to Go's module proxy.")
    return done.stdout


if __name__ == "__main__":
    raise SystemExit(main())
