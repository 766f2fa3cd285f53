"""The containers, as far as they can be checked without an engine: hadolint, the compose file, real settings."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.settings import load

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "containers" / "Dockerfile"
ROLES = ("ingest", "detector", "alerting", "console")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """Return the compose file's services."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))["services"]
    return found


def test_the_dockerfile_has_no_fault_that_hadolint_knows() -> None:
    """And the image does not run as root."""
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    users = re.findall(r"^USER (\S+)$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
    assert users == ["10001"]


def test_the_dockerfile_copies_only_what_is_sent_and_there() -> None:
    """Everything else is kept from the engine by .dockerignore."""
    sent = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    assert names <= sent
    assert all((ROOT / name).exists() for name in names)


def test_the_images_environment_holds_no_unknown_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name of ours that is no setting would keep every role from starting."""
    names = [
        assignment.split("=")[0]
        for line in re.findall(r"^ENV (.+)$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
        for assignment in line.split()
    ]
    assert "ROLE" in names
    for name in names:
        monkeypatch.setenv(name, "detector")
    load()


def test_its_uv_is_the_makefiles() -> None:
    """One version resolves everywhere."""
    (of_make,) = re.findall(r"^UV_VERSION := (\S+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert f"uv=={of_make}" in DOCKERFILE.read_text(encoding="utf-8")


@pytest.mark.parametrize("role", ROLES)
def test_each_role_gets_settings_that_there_are(
    role: str, services: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment is read as the role reads it: an unknown name would be refused."""
    for name, value in services[role]["environment"].items():
        monkeypatch.setenv(name, value)
    settings = load()
    assert settings.bus.url.get_secret_value() == "kafka://kafka:9092"
    assert settings.store.url.get_secret_value() == "redis://redis:6379/0"
    assert settings.metrics.port == 9400
    assert f":{settings.metrics.port}/metrics" in services[role]["healthcheck"]["test"][-1]


@pytest.mark.parametrize("role", ROLES)
def test_each_role_is_built_bounded_and_unprivileged(role: str, services: dict[str, Any]) -> None:
    """It has its own image, limits, no capabilities, nothing to write to, and starts after what it needs."""
    service = services[role]
    assert service["build"]["args"] == {"ROLE": role}
    assert (ROOT / service["build"]["dockerfile"]).is_file()
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}
    needed = set(service["depends_on"])
    assert {"kafka", "redis"} <= needed <= services.keys()
    assert all(condition == {"condition": "service_healthy"} for condition in service["depends_on"].values())


def test_servers_keep_their_data_and_say_when_they_are_ready(services: dict[str, Any]) -> None:
    """Kafka in KRaft mode and Redis with its append-only file, on volumes, with versions that are pinned."""
    kafka, redis = services["kafka"], services["redis"]
    assert kafka["environment"]["KAFKA_PROCESS_ROLES"] == "broker,controller"
    assert redis["command"][redis["command"].index("--appendonly") + 1] == "yes"
    for server in (kafka, redis):
        assert re.fullmatch(r"[a-z/]+:\d+\.\d+\S*", server["image"])
        assert server["volumes"]
        assert server["healthcheck"]["test"]
