"""Kafka's jar files: resolved by Maven once, then shared by every process of this user."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from deploy.servers.cache import cache_dir, exclusive
from shared.errors import ServerError

KAFKA_VERSION = "4.3.1"
_POMS = Path(__file__).parents[1] / "kafka"
POM = _POMS / "pom.xml"
TOOLS_POM = _POMS / "tools.pom.xml"
_RESOLVE_DEADLINE_S = 600
_TAIL_LINES = 12


def kafka_home() -> Path:
    """Return the folder with the broker's jars in `jars/`, downloading them the first time.

    Several processes may call this at once: one downloads, the others wait. The folder appears complete or not at all,
    and is replaced when the pom of this checkout differs from the one it was made from.
    Raises ServerError when Maven is missing or cannot resolve them.
    """
    return _home(f"kafka-{KAFKA_VERSION}", POM)


def kafka_tools_home() -> Path:
    """Return the folder of Kafka's performance tools, as `kafka_home` does that of the broker."""
    return _home(f"kafka-tools-{KAFKA_VERSION}", TOOLS_POM)


def _home(name: str, pom: Path) -> Path:
    home = cache_dir() / name
    if _is_current(home, pom):
        return home
    with exclusive(home.with_name(f"{home.name}.lock")):
        if not _is_current(home, pom):
            _install(home, pom)
    return home


def _is_current(home: Path, pom: Path) -> bool:
    made_from = home / "pom.xml"
    return made_from.is_file() and made_from.read_bytes() == pom.read_bytes()


def _install(home: Path, pom: Path) -> None:
    with tempfile.TemporaryDirectory(dir=home.parent, prefix=f"{home.name}.") as beside:
        fresh = Path(beside) / "fresh"
        fresh.mkdir()
        shutil.copyfile(pom, fresh / "pom.xml")
        _resolve(fresh)
        if home.exists():
            home.rename(Path(beside) / "stale")
        fresh.rename(home)


def _resolve(folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise ServerError(
            f"The jars of Kafka {KAFKA_VERSION} are not here yet and Maven (mvn) is missing",
            "Install the Debian package maven.",
        )
    argv = [maven, "--batch-mode", "--quiet", "dependency:copy-dependencies", "-DincludeScope=runtime"]
    argv += [f"-DoutputDirectory={folder / 'jars'}"]
    try:
        done = subprocess.run(
            argv, cwd=folder, capture_output=True, text=True, check=False, timeout=_RESOLVE_DEADLINE_S
        )
    except subprocess.TimeoutExpired as error:
        raise ServerError(
            f"Maven did not resolve the jars of Kafka {KAFKA_VERSION} within {_RESOLVE_DEADLINE_S} s",
            "Check the connection to Maven's repository.",
        ) from error
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-_TAIL_LINES:])
        raise ServerError(
            f"Maven could not resolve the jars of Kafka {KAFKA_VERSION}: {tail}",
            "Check the connection to Maven's repository.",
        )
