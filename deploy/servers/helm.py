"""Helm, and the schema that KEDA publishes: what checks the chart. Go builds and fetches them once, for all checkouts.

python -m deploy.servers.helm
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

HELM_VERSION: Final = "v3.22.0"
KEDA_VERSION: Final = "v2.21.0"
_HELM: Final = f"helm.sh/helm/v3/cmd/helm@{HELM_VERSION}"
_KEDA: Final = f"github.com/kedacore/keda/v2@{KEDA_VERSION}"
_SCALED_OBJECTS: Final = Path("config/crd/bases/keda.sh_scaledobjects.yaml")
_LIMIT_S: Final = 900
_TAIL_LINES: Final = 12


def helm_and_keda() -> tuple[Path, Path]:
    """Return the path of helm and that of the schema of KEDA's ScaledObject, as a CustomResourceDefinition.

    Raises ServerError when Go is missing or cannot fetch them.
    """
    home = cache_dir() / f"helm-{HELM_VERSION}-keda-{KEDA_VERSION}"
    with exclusive(home.with_name(f"{home.name}.lock")):
        if not home.is_dir():
            with tempfile.TemporaryDirectory(dir=home.parent, prefix=f"{home.name}.") as beside:
                fresh = Path(beside) / "fresh"
                fresh.mkdir()
                _go(["install", _HELM], GOBIN=str(fresh))
                module = json.loads(_go(["mod", "download", "-json", _KEDA]))["Dir"]
                shutil.copyfile(Path(module) / _SCALED_OBJECTS, fresh / _SCALED_OBJECTS.name)
                fresh.rename(home)
    return home / "helm", home / _SCALED_OBJECTS.name


def _go(words: list[str], **environment: str) -> str:
    go = shutil.which("go")
    if go is None:
        raise ServerError("Helm is not here yet and Go is missing", "Install Go, or the Debian package golang-go.")
    try:
        done = subprocess.run(
            [go, *words],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=_LIMIT_S,
        )
    except subprocess.TimeoutExpired:
        raise ServerError(f"go {words[0]} took more than {_LIMIT_S} s", "Check the connection to Go's proxy.") from None
    if done.returncode:
        tail = "\n".join(done.stderr.splitlines()[-_TAIL_LINES:])
        raise ServerError(f"go {' '.join(words)} failed: {tail}", "Check the connection to Go's proxy.")
    return done.stdout


def main() -> int:
    """Fill the cache; return the exit status."""
    try:
        helm_and_keda()
    except ServerError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
