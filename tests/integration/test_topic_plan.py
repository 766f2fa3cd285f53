"""`linewarden topics` against a real broker and a real Redis."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from deploy.cli import app
from shared.errors import ConfigError

pytestmark = [pytest.mark.kafka, pytest.mark.redis]


@pytest.fixture
def plant(tmp_path: Path, kafka_url: str, redis_url: str) -> Plant:
    """Return an installation of its own on the shared servers."""
    return Plant(tmp_path, kafka_url, redis_url)


class Plant:
    """Settings files of one installation."""

    def __init__(self, folder: Path, kafka_url: str, redis_url: str) -> None:
        self._path = folder / "line.toml"
        self._prefix = f"topics-{uuid4().hex[:12]}"
        self._servers = (kafka_url, redis_url)

    def has(self, **cameras: int) -> None:
        """Write settings with these cameras on one line, and their partitions."""
        bus, store = self._servers
        lines = "".join(
            f"[[lines.cameras]]\nname = '{name}'\npartitions = {count}\n" for name, count in cameras.items()
        )
        self._path.write_text(
            f"[bus]\nurl = '{bus}'\ntopic_prefix = '{self._prefix}'\n"
            f"[store]\nurl = '{store}'\nkey_prefix = '{self._prefix}'\n[[lines]]\nname = 'l1'\n{lines}"
        )

    def topics(self, command: str, *options: str) -> Result:
        """Run `linewarden topics`."""
        return CliRunner().invoke(app, ["topics", command, "--config", str(self._path), *options])


def test_a_plan_is_shown_applied_and_checked(plant: Plant) -> None:
    """Before: everything is new, and `check` fails. After: it stands, and adding or removing cameras moves nobody."""
    plant.has(a=1, b=2)
    shown = plant.topics("plan")
    assert shown.exit_code == 0
    assert "camera l1/b: is new" in shown.output
    before = plant.topics("check")
    assert before.exit_code == 1
    assert "has 0 partitions, needs 3" in before.output

    assert plant.topics("apply").exit_code == 0
    after = plant.topics("check")
    assert (after.exit_code, after.output) == (
        0,
        "3 lines and cameras have their places, and the topics their partitions.\n",
    )

    plant.has(c=1, b=2)
    assert "camera l1/a: is not in the settings" in plant.topics("check").output
    applied = plant.topics("apply")
    assert [[cell.strip() for cell in row.split("│")] for row in applied.output.splitlines() if "camera" in row] == [
        ["camera", "l1/a", "0", "stays"],
        ["camera", "l1/b", "1, 2", "stays"],
        ["camera", "l1/c", "3", "stays"],
    ]
    assert plant.topics("check").exit_code == 1
    assert plant.topics("apply", "--prune").exit_code == 0
    assert plant.topics("check").exit_code == 0


def test_what_ends_with_a_process_has_no_plan_to_show(tmp_path: Path) -> None:
    """The embedded store and bus are refused, with what to set."""
    path = tmp_path / "line.toml"
    path.write_text("[bus]\nurl = 'memory://'\n")
    refused = CliRunner().invoke(app, ["topics", "check", "--config", str(path)])
    assert isinstance(refused.exception, ConfigError)
    assert "store.url" in str(refused.exception)
    path.write_text("[store]\nurl = 'redis://127.0.0.1:1/0'\n")
    refused = CliRunner().invoke(app, ["topics", "check", "--config", str(path)])
    assert "bus.url" in str(refused.exception)
