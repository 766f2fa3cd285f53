"""The built wheel: it holds the five packages with their data, and its command runs from anywhere."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).parent / "uv"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel as a release would."""
    if not UV.is_file():
        pytest.skip("uv is not in this environment: `make test` installs it")
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run([UV, "build", "--wheel", "--quiet", "--out-dir", out, ROOT], check=True, timeout=100)
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_holds_the_packages_and_their_data(wheel: Path) -> None:
    """Nothing but the five packages is in it, and the files that are read at run time are."""
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "shared", "ingest", "detector", "alerting", "deploy",
    }  # fmt: skip
    for needed in (
        "deploy/kafka/pom.xml",
        "deploy/kafka/server.properties.template",
        "deploy/rtsp/server.py",
        "detector/evaluation/page.html.jinja",
    ):
        assert needed in names
    for folder in (ROOT / "alerting" / "console" / name for name in ("static", "templates")):
        assert {str(file.relative_to(ROOT)) for file in folder.iterdir()} <= set(names)
    assert any(name.startswith("detector/model/backbone/towers/") and name.endswith(".json") for name in names)


def test_the_installed_wheel_runs_away_from_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """Its own copy of the packages is imported, and the command teaches its use."""
    target = tmp_path / "site"
    command = [str(UV), "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(wheel)]
    subprocess.run(command, check=True, timeout=100)
    # -P keeps the current folder out, the path set first keeps the editable installation out.
    script = f"import sys; sys.path.insert(0, {str(target)!r}); import shared, deploy.cli; print(shared.__file__)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    assert Path(done.stdout.strip()) == target / "shared" / "__init__.py"
