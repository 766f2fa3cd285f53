"""`linewarden alerts` on a real Redis: list, acknowledge and shelve."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from deploy.adapters import make_store
from deploy.cli_alerts import alerts
from shared.alerts import Severity, StandingAlert
from shared.clock import SystemClock
from shared.errors import ConfigError
from shared.settings import Settings, load
from tests.lines import LINE

pytestmark = pytest.mark.redis


@pytest.fixture
def config(redis_url: str, tmp_path: Path) -> Path:
    """Give the settings of a line on whose board two alerts stand and one is over."""
    path = tmp_path / "line.toml"
    prefix = f"alerts-{uuid4().hex}"
    path.write_text(f'[store]\nurl = "{redis_url}"\nkey_prefix = "{prefix}"\n[[lines]]\nname = "{LINE}"\n')
    asyncio.run(fill(load(path)))
    return path


async def fill(settings: Settings) -> None:
    """Put alerts on the board."""
    now_ns = SystemClock().utc_ns()
    store = make_store(settings)
    for kind, severity, cleared_ns in (
        ("JOURNAL_AWAY", Severity.WARNING, 0),
        ("GATE_LOST", Severity.CRITICAL, 0),
        ("BUS_AWAY", Severity.CRITICAL, now_ns),
    ):
        standing = StandingAlert(LINE, kind, "", severity, "text [of] it", now_ns, now_ns, cleared_ns=cleared_ns)
        await store.put_alert(standing, told=None)
    await store.close()


def run(config: Path, *arguments: object) -> Result:
    """Run a command."""
    return CliRunner().invoke(alerts, [*map(str, arguments), "--config", str(config)], catch_exceptions=False)


def listed(config: Path, *arguments: str) -> dict[str, str]:
    """Return each listed alert's state."""
    out = config.with_suffix(".json")
    assert run(config, "list", "--json", out, *arguments).exit_code == 0
    return {row["key"]: row["state"] for row in json.loads(out.read_text())}


def test_what_stands_is_listed_the_worst_first(config: Path) -> None:
    """What is over only by wish."""
    assert list(listed(config).items()) == [("GATE_LOST", "open"), ("JOURNAL_AWAY", "open")]
    assert listed(config, "--all")["BUS_AWAY"] == "over"


def test_an_alert_is_acknowledged_with_who_and_why(config: Path) -> None:
    """And both are shown."""
    run(config, "ack", "GATE_LOST", "--line", LINE, "--reason", "fitter called", "--who", "anna")
    assert listed(config)["GATE_LOST"] == "acknowledged"
    rows = json.loads(config.with_suffix(".json").read_text())
    assert [(row["deed"]["who"], row["deed"]["reason"]) for row in rows if row["deed"]] == [("anna", "fitter called")]


def test_an_alert_is_shelved_until_an_end(config: Path) -> None:
    """Or until somebody ends it before."""
    shelf = ("shelve", "JOURNAL_AWAY", "--line", LINE, "--reason", "disk ordered", "--who", "anna", "--for")
    run(config, *shelf, "8h")
    assert listed(config)["JOURNAL_AWAY"] == "shelved"
    run(config, *shelf, "0m")
    assert listed(config)["JOURNAL_AWAY"] == "open"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("ack", "BUS_AWAY", "--line", LINE, "--reason", "x"), "does not stand"),
        (("ack", "GATE_LOST", "--line", "other", "--reason", "x"), "not in the settings"),
        (("ack", "GATE_LOST", "--line", LINE, "--reason", " "), "reason"),
        (("shelve", "GATE_LOST", "--line", LINE, "--reason", "x", "--for", "2d"), "24h"),
        (("shelve", "GATE_LOST", "--line", LINE, "--reason", "x", "--for", "25h"), "24h"),
        (("shelve", "NONSENSE", "--line", LINE, "--reason", "x", "--for", "1h"), "no kind of alert"),
    ],
)
def test_what_cannot_be_done_is_refused(config: Path, arguments: tuple[str, ...], text: str) -> None:
    """With what can."""
    with pytest.raises(ConfigError, match=text):
        run(config, *arguments)
