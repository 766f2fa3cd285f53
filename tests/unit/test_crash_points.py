"""The alerting service dies between every two effects; what goes on after it, and what a plant sees of it, is right.

Each effect is one call on bus, store or gate. A run without a crash tells which there are, so that none is forgotten;
`pytest -rA` lists the points that were covered.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import alerting
from alerting.plc_sim.gate_log import GateAction
from shared.domain import Decision, Outcome
from shared.ledger.message import entry_of, from_message
from shared.ledger.verifier import Verifier
from shared.wire import kind_of
from tests.crashing import CrashPoint, Process
from tests.lines import LINE, Plant, read_all

GOOD, BAD = 0.5, 5.0
PASSES: Final = {"good", "late-news", "after"}
PARTS: Final = ("good", "bad", "silent", "late-news", "after")
STEP_S: Final = 0.05
END_S: Final = 6.5
RESTART_S: Final = 0.1
PERIODIC: Final = frozenset(
    {
        "signals.beat",
        "subscription.poll",
        "store.ping",
        "store.kept",
        "store.notes",
        "store.set_state",
        "store.alert_handling",
        "store.move_lease",
    }
)
"""What is called again and again whatever happens: three calls of each stand for all."""
DID: Final = {Outcome.PASS: GateAction.PASSED, Outcome.REJECT: GateAction.REJECTED}


async def production(plant: Plant, at: float) -> None:
    """Do what the line does at this time, whatever becomes of the service."""
    match round(at / STEP_S):
        case 6:
            for part in ("good", "bad", "silent"):
                await plant.announce(part)
        case 8:
            await plant.say("good", GOOD)
            await plant.say("bad", BAD, overlay=b"jpeg")
        case 10:
            await plant.put(plant.topics.verdicts, b"no message")
            await plant.say("late-news", GOOD)
        case 11:
            await plant.announce("late-news")
        case 38:
            await plant.say("silent", GOOD)
        case 70:
            await plant.announce("after")
            await plant.say("after", GOOD)


class Played:
    """One run of production with a process that dies somewhere, and what came after it."""

    def __init__(self, dies_at: CrashPoint | None, *, standby: bool, thaws: bool = False) -> None:
        self.plant = Plant(standby=standby)
        self.first = Process(dies_at)
        self._standby = standby
        self._thaws = thaws
        self._stops: list[asyncio.Event] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, process: Process, member: str) -> None:
        """Start a process of the service."""
        plant, stop = self.plant, asyncio.Event()
        ports = process.bus(plant.bus), process.store(plant.store), process.signals(plant.signals)
        self._stops.append(stop)
        self._tasks.append(await plant.serve(*ports, stop, member=member))

    async def play(self) -> None:
        """Run production to its end, and stop what still serves."""
        plant = self.plant
        await self.start(self.first, "first")
        started = False
        died_s: float | None = None
        for step in range(round(END_S / STEP_S)):
            at = step * STEP_S
            if self._standby and step == 2:
                await self.start(Process(), "second")
            if died_s is None and self.first.dead.is_set():
                died_s = at
            if died_s is not None and not started and not self._standby and at - died_s >= RESTART_S:
                started = True
                await self._bury()
                await self.start(Process(), "first")
            if died_s is not None and self._thaws and at - died_s >= 2.0:
                self.first.thaw()
            await production(plant, at)
            await plant.run(STEP_S)
        for stop in self._stops:
            stop.set()
        for _ in range(80):
            await plant.run(STEP_S)

    async def _bury(self) -> None:
        """End every process."""
        dying, self._tasks = self._tasks, []
        while not all(task.done() for task in dying):
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await asyncio.sleep(0)

    async def close(self) -> None:
        """End what is left."""
        await self._bury()
        await self.plant.store.close()

    async def check(self) -> list[str]:
        """Return what is wrong, as seen from outside: in the PLC, on the topics and in the store."""
        plant, wrong = self.plant, []
        ended = [task for task in self._tasks if task.done() and not task.cancelled() and task.exception()]
        wrong += [f"the service failed: {task.exception()!r}" for task in ended]
        records = [
            from_message(record.value)
            for record in await read_all(plant.bus, plant.topics.decisions)
            if kind_of(record.value) is Decision
        ]
        verifier = Verifier()
        said: dict[str, set[Outcome]] = {}
        for record in records:
            entry = entry_of(record.decision)
            verifier.take(record, entry)
            said.setdefault(entry.part_id, set()).add(entry.outcome)
        findings = verifier.findings()
        wrong += [f"ledger: {fault}" for fault in findings.faults]
        if len(findings.ends) != 1 or findings.ends[0].sequence != len(PARTS):
            wrong.append(f"the chain ends {findings.ends}")
        actions = plant.actions()
        wrong += [f"{part} was decided twice: {found}" for part, found in said.items() if len(found) > 1]
        if not (set(said) == set(actions) == set(PARTS)):
            wrong.append(f"parts on the topic {sorted(said)}, at the gate {sorted(actions)}")
        stored = await plant.outcomes()
        for part, found in said.items():
            (outcome,) = tuple(found)[:1]
            if DID.get(outcome, GateAction.DEFAULTED) is not actions.get(part) or stored.get(part) is not outcome:
                wrong.append(f"{part}: {outcome} on the topic, {stored.get(part)} in the store, {actions.get(part)}")
        wrong += [
            f"{part} passed" for part, done in actions.items() if done is GateAction.PASSED and part not in PASSES
        ]
        ours, theirs = await plant.counters(), plant.plc.counters()
        if (ours.announced, ours.passed, ours.rejected, ours.defaulted) != (
            theirs.parts,
            theirs.passed,
            theirs.rejected,
            theirs.defaulted,
        ):
            wrong.append(f"store {ours}, PLC {theirs}")
        if theirs.heartbeat_losses or theirs.bad_checksum or theirs.unknown_part:
            wrong.append(f"PLC {theirs}")
        if actions.get("after") is not GateAction.PASSED:
            wrong.append(f"nobody passed a good part long after the crash: {actions.get('after')}")
        if stored.get("bad") is Outcome.REJECT and await plant.store.picture(LINE, "bad", "camera") != b"jpeg":
            wrong.append("a reject has no picture")
        return wrong


@asynccontextmanager
async def played(dies_at: CrashPoint | None, *, standby: bool = False, thaws: bool = False) -> AsyncIterator[Played]:
    """Run production once."""
    run = Played(dies_at, standby=standby, thaws=thaws)
    try:
        await run.play()
        yield run
    finally:
        await run.close()


async def points(*, standby: bool) -> list[CrashPoint]:
    """Return every place to die at: before and after each effect of a run in which nobody does."""
    async with played(None, standby=standby) as run:
        assert await run.check() == []
        calls = Counter(run.first.calls)
    return [
        CrashPoint(effect, number, after)
        for effect, times in sorted(calls.items())
        for number in _chosen(effect, times)
        for after in (False, True)
    ]


def _chosen(effect: str, times: int) -> Iterable[int]:
    return sorted({1, times // 4 or 1, times // 2 or 1}) if effect in PERIODIC else range(1, times + 1)


async def fails_at(place: CrashPoint, *, standby: bool, thaws: bool = False) -> list[str]:
    """Return what is wrong after a crash there."""
    async with played(place, standby=standby, thaws=thaws) as run:
        wrong = await run.check()
        if not run.first.dead.is_set():
            wrong.append("it did not die there")
        return [f"{place}: {problem}" for problem in wrong]


def used(port: type, *names: str) -> set[str]:
    """Return the methods of a port that the service calls, by its source."""
    root = Path(alerting.__file__).parent
    files = [*root.rglob("*.py"), root.parent / "shared/bus/intake.py", root.parent / "shared/policy_keeper.py"]
    text = "\n".join(file.read_text() for file in files if "plc_sim" not in file.parts)
    methods = {name for name in dir(port) if not name.startswith("_") and callable(getattr(port, name))}
    return {name for name in methods if re.search(rf"\b_?({'|'.join(names)})\.{name}\(", text)}


async def swept(places: list[CrashPoint], *, standby: bool, thaws: bool = False) -> list[str]:
    """Die at each place, and say what was covered."""
    wrong = []
    for place in places:
        wrong += await fails_at(place, standby=standby, thaws=thaws)
    print(f"{len(places)} crash points:", "; ".join(str(place) for place in places))  # noqa: T201 - for -rA
    return wrong


async def test_a_process_that_dies_anywhere_is_started_again() -> None:
    """Killed before or after any effect, and started 0.1 s later: every part once, as the gate had it, in one chain."""
    assert await swept(await points(standby=False), standby=False) == []


async def test_a_process_that_dies_anywhere_is_followed_by_its_standby() -> None:
    """Dead at any effect, another process takes its line over, and nothing is decided twice."""
    assert await swept(await points(standby=True), standby=True) == []


async def test_a_process_that_wakes_up_after_its_line_was_taken_changes_nothing() -> None:
    """Frozen at any effect and thawed 2 s later: what it was about to do lands, and decides nothing."""
    assert await swept(await points(standby=True), standby=True, thaws=True) == []
