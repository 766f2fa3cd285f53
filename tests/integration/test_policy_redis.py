"""A policy changed by the command line while a line runs on a real Redis, in real time."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from alerting.plc_sim.simulator import GateSimulator
from alerting.service import AlertingService
from alerting.signals.memory import MemoryGateSignals
from deploy.adapters import make_store
from shared.bus.memory import MemoryBus
from shared.clock import NS_PER_MS, NS_PER_S, SystemClock
from shared.domain import Decision, GateMode, Outcome
from shared.settings import Settings, load
from shared.store.base import Store
from shared.wire import VerdictMessage, encode
from tests.lines import CAMERA, GATE_DELAY_MS, LINE, REALLY_S, announcement, inspected, topics_for

pytestmark = pytest.mark.redis
PITCH_S = 0.05


class LiveLine:
    """A line of one camera in real time: every part scores 2.5, and none is left out."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings = settings
        self.store = store
        self.clock = SystemClock()
        self.bus = MemoryBus(self.clock)
        self.plc = GateSimulator(GateMode.PASS_ASSERTED, self.clock, heartbeat_timeout_ms=60_000)
        self.announced = 0
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Serve until `stop`."""
        plan = await topics_for(self.settings, self.bus)
        service = AlertingService(
            self.settings,
            plan=plan,
            bus=self.bus,
            store=self.store,
            clock=self.clock,
            signals=lambda _: MemoryGateSignals(self.plc),
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(service.run(self._stop))
            tasks.create_task(self._feed())

    def stop(self) -> None:
        """Let no further part come."""
        self._stop.set()

    async def decisions(self) -> list[Decision]:
        """Return what was decided, oldest first."""
        return (await self.store.decisions(LINE, newest=10_000))[::-1]

    async def _feed(self) -> None:
        topics = self.settings.topics
        while not self._stop.is_set():
            part_id, at_ns = f"p{self.announced}", self.clock.utc_ns()
            self.plc.photo_eye(part_id, at_ns + GATE_DELAY_MS * NS_PER_MS)
            await self.bus.publish(topics.captures, encode(announcement(part_id, at_ns=at_ns)), key=None, partition=0)
            verdict = VerdictMessage(inspected(2.5, part_id, at_ns=at_ns))
            await self.bus.publish(topics.verdicts, encode(verdict), key=None, partition=0)
            self.announced += 1
            await asyncio.sleep(PITCH_S)


@pytest.fixture
def config(redis_url: str, tmp_path: Path) -> Path:
    """Write the settings of a line of its own."""
    path = tmp_path / "line.toml"
    path.write_text(
        f"[store]\nurl = '{redis_url}'\nkey_prefix = 'policy-{uuid.uuid4().hex}'\n"
        f"[[lines]]\nname = '{LINE}'\nreject_at = 3.0\n[[lines.cameras]]\nname = '{CAMERA}'\n",
        encoding="utf-8",
    )
    return path


@pytest.fixture
async def line(config: Path) -> AsyncIterator[LiveLine]:
    """Run a line while the test lasts."""
    settings = load(config)
    store = make_store(settings)
    running = LiveLine(settings, store)
    serving = asyncio.create_task(running.run())
    yield running
    running.stop()
    await serving
    await store.close()


def linewarden(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `linewarden policy` to its end."""
    command = [sys.executable, "-m", "deploy.cli", "policy", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


async def typed(*words: str | Path) -> str:
    """Run `linewarden policy` beside the line, and return what it printed."""
    done = await asyncio.to_thread(linewarden, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def until(line: LiveLine, version: int) -> None:
    """Wait until a part was decided by a version."""
    deadline_s = time.monotonic() + REALLY_S
    while not any(decision.policy_version == version for decision in await line.decisions()):
        assert time.monotonic() < deadline_s, f"version {version} never decided a part"
        await asyncio.sleep(PITCH_S)


async def test_a_changed_threshold_is_live_within_a_second(line: LiveLine, config: Path, tmp_path: Path) -> None:
    """No part is missed, each names its version, and the audit has who and why."""
    await until(line, 0)
    said = await typed("set", "--config", config, "reject_at=2.0", "--reason", "scratches", "--by", "anna")
    assert "Policy 1 of line-1: reject_at 3.0 -> 2.0." in said
    assert "The running line judges by it" in said
    await until(line, 1)
    line.stop()
    deadline_s = time.monotonic() + REALLY_S
    while (await line.store.counters(LINE)).settled < line.announced:
        assert time.monotonic() < deadline_s, "a part was missed"
        await asyncio.sleep(PITCH_S)

    await typed("history", "--config", config, "--json", tmp_path / "history.json")
    (entry,) = json.loads((tmp_path / "history.json").read_text())
    assert (entry["by"], entry["why"], entry["what"]) == ("anna", "scratches", "version 1: reject_at 3.0 -> 2.0")
    decisions = await line.decisions()
    assert [decision.part_id for decision in decisions] == [f"p{number}" for number in range(line.announced)]
    for decision in decisions:
        new = decision.policy_version == 1
        assert (decision.outcome, decision.reject_at) == ((Outcome.REJECT, 2.0) if new else (Outcome.PASS, 3.0))
        if decision.decided_at_ns > entry["at_ns"] + NS_PER_S:
            assert new
    counters = await line.store.counters(LINE)
    assert counters.announced == counters.settled == line.announced


async def test_the_commands_show_preview_and_resume(line: LiveLine, config: Path, tmp_path: Path) -> None:
    """A preview changes nothing; a row of rejects halts the line, and resuming it is in the history."""
    await until(line, 0)
    await asyncio.sleep(1.0)
    said = await typed("preview", "--config", config, "reject_at=2.0", "--json", tmp_path / "preview.json")
    figures = json.loads((tmp_path / "preview.json").read_text())
    assert figures["changed"] == figures["parts"] == figures["moves"]["PASS -> REJECT"] > 0
    assert "name no regions" in said
    assert "Policy 0, what the settings say" in await typed("show", "--config", config)

    change = ("reject_at=2.0", "runs.rejects_in_a_row=5", "runs.row_action=stop")
    await typed("set", "--config", config, *change, "--reason", "new tool")
    deadline_s = time.monotonic() + REALLY_S
    while "halted since" not in await typed("show", "--config", config):
        assert time.monotonic() < deadline_s, "the line was not halted"
    assert "5 rejects in a row" in await typed("resume", "--config", config, "--reason", "tool was changed")
    history = await typed("history", "--config", config)
    assert "resumed" in history
    assert "new tool" in history


def test_what_cannot_be_set_is_refused_in_one_line(config: Path) -> None:
    """Unknown lines and settings, values out of range, and a change without a reason."""
    for words, expected in (
        (("set", "reject_at=99", "--reason", "x"), "'reject_at' cannot be used"),
        (("set", "reject=2", "--reason", "x"), "unknown setting 'reject'"),
        (("set", "reject_at", "--reason", "x"), "is not KEY=VALUE"),
        (("set", "reject_at=2", "--reason", " "), "--reason is empty"),
        (("set", "rule=2", "--reason", "x"), "the line has 1"),
        (("set", "per_camera.top.reject_at=2", "--reason", "x"), "names 'top'"),
        (("set", "on_silence=pass", "--reason", "x"), "trial = true"),
        (("show", "--line", "other"), "there is no line 'other'"),
        (("preview", "reject_at=2", "--source", "verdicts"), "keeps no verdicts"),
    ):
        done = linewarden(words[0], "--config", config, *words[1:])
        assert done.returncode == 2, done.stdout + done.stderr
        assert expected in done.stderr
        assert "Traceback" not in done.stderr
