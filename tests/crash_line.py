"""A line at work around alerting processes that die, and what is wrong with it afterwards, as seen from outside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from alerting.plc_sim.gate_log import GateAction
from deploy.ledger.sources import read_journal
from shared.domain import Decision, GateMode, Outcome
from shared.ledger.message import entry_of, from_message
from shared.ledger.verifier import Verifier
from shared.policy import policy_from
from shared.policy_keeper import PolicyKeeper
from shared.policy_record import PolicyChange
from shared.wire import kind_of
from tests.crashing import CrashPoint, Process
from tests.lines import LINE, Plant, read_all

GOOD, BAD = 0.5, 5.0
PASSES: Final = {"good", "late-news", "after"}
PARTS: Final = ("good", "bad", "silent", "late-news", "after")
STEP_S: Final = 0.05
END_S: Final = 6.5
RESTART_S: Final = 0.1
THAW_S: Final = 2.0
DRAIN_S: Final = 4.0
STANDBY_STEP: Final = 2
POLICY_STEP: Final = 0
EMPTIED_STEP: Final = 20
"""When a store is emptied: one part is open, and one is signalled and not recorded yet."""
DID: Final = {Outcome.PASS: GateAction.PASSED, Outcome.REJECT: GateAction.REJECTED}


@dataclass(frozen=True, slots=True)
class Course:
    """What happens besides the crash.

    A `standby` waits; else the process is started again. It may thaw instead of being dead, the store may be `emptied`,
    a `journal` kept, and the gate may rest open, with a PLC that stops the line without heartbeats. With `before` a
    first process died there, and the one that is watched was started after it. With `halts` somebody changed the
    policy just before, so that one of the parts halts the line.
    """

    standby: bool = False
    thaws: bool = False
    emptied: bool = False
    rests_open: bool = False
    journal: Path | None = None
    before: CrashPoint | None = None
    halts: Mapping[str, object] | None = None


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
        case 9:
            # Too late for a part that was passed: whoever forgot that would decide otherwise now.
            await plant.say("good", BAD)
        case 38:
            await plant.say("silent", GOOD)
        case 70:
            await plant.announce("after")
            await plant.say("after", GOOD)


class Played:
    """One run of production with a process that dies somewhere, and what came after it."""

    def __init__(self, dies_at: CrashPoint | None, course: Course) -> None:
        self.plant = Plant(
            standby=course.standby,
            mode=GateMode.REJECT_ASSERTED if course.rests_open else GateMode.PASS_ASSERTED,
            heartbeat_timeout_ms=300 if course.rests_open else 600_000,
            journal=course.journal,
        )
        self.watched = Process(dies_at)
        self._course = course
        self._said: tuple[int, int] | None = None
        """How often one that thawed had turned to the gate before."""
        self._stops: list[asyncio.Event] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, process: Process, member: str) -> None:
        """Start a process of the service."""
        plant, stop = self.plant, asyncio.Event()
        ports = process.bus(plant.bus), process.store(plant.store), process.signals(plant.signals)
        self._stops.append(stop)
        self._tasks.append(await plant.serve(*ports, stop, member=member, writes=process.journal))

    async def play(self) -> None:
        """Run production to its end, and stop what still serves."""
        plant, course = self.plant, self._course
        alive = Process(course.before) if course.before else self.watched
        await self.start(alive, "first")
        died_s: float | None = None
        for step in range(round(END_S / STEP_S)):
            at = step * STEP_S
            if course.standby and step == STANDBY_STEP:
                await self.start(Process(), "second")
            if died_s is None and alive.dead.is_set():
                died_s = at
            if died_s is not None and not course.standby and at - died_s >= RESTART_S:
                await self._bury()
                died_s, alive = None, Process() if alive is self.watched else self.watched
                await self.start(alive, "first")
            if died_s is not None and course.thaws and at - died_s >= THAW_S:
                self._said = self._said or self._calls_of_gate(alive)
                alive.thaw()
            if course.halts is not None and step == POLICY_STEP:
                await self._change_policy(course.halts)
            if course.emptied and step == EMPTIED_STEP:
                plant.store.data.clear()
            await production(plant, at)
            await plant.run(STEP_S)
        for stop in self._stops:
            stop.set()
        for _ in range(round(DRAIN_S / STEP_S)):
            await plant.run(STEP_S)

    async def _change_policy(self, values: Mapping[str, object]) -> None:
        keeper = PolicyKeeper(self.plant.store, self.plant.topics, LINE)
        first, at_ns = self.plant.settings.lines[0].policy, self.plant.clock.utc_ns()
        await keeper.change(
            lambda old: policy_from({**old.model_dump(), **values}), first=first, by="anna", at_ns=at_ns, why="test"
        )

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
        """Return what is wrong: in the PLC, on the topics and in the store."""
        failed = [task.exception() for task in self._tasks if task.done() and not task.cancelled()]
        wrong = [f"the service failed: {error!r}" for error in failed if error is not None]
        if self._said not in {None, self._calls_of_gate(self.watched)}:
            wrong.append("it signalled to a gate that was another's by then")
        wrong += await self._check_topic()
        wrong += await self._check_store()
        if self._course.rests_open:
            return wrong + await self._check_open_gate()
        if self._course.halts is not None:
            wrong += await self._check_halt()
        return wrong + await self._check_gate()

    @staticmethod
    def _calls_of_gate(process: Process) -> tuple[int, int]:
        return process.calls["signals.send"], process.calls["signals.beat"]

    async def _topic(self) -> dict[str, set[Outcome]]:
        said: dict[str, set[Outcome]] = {}
        for decision in await self.plant.published():
            said.setdefault(decision.part_id, set()).add(decision.outcome)
        return said

    async def _check_topic(self) -> list[str]:
        """Look for parts with two decisions or none, and at the chain, in the journal too."""
        said = await self._topic()
        wrong = [f"{part} was decided twice: {found}" for part, found in said.items() if len(found) > 1]
        if set(said) != set(PARTS):
            wrong.append(f"parts on the topic: {sorted(said)}")
        verifier = Verifier()
        for message in await read_all(self.plant.bus, self.plant.topics.decisions):
            if kind_of(message.value) is Decision:
                record = from_message(message.value)
                verifier.take(record, entry_of(record.decision))
        written = Verifier()
        if self._course.journal is not None:
            read_journal(self._course.journal, [written])
        for findings in (verifier.findings(), written.findings()):
            wrong += [f"ledger: {fault}" for fault in findings.faults]
            wrong += [f"the chain ends {end}" for end in findings.ends if end.sequence != len(PARTS)]
        return wrong

    async def _check_store(self) -> list[str]:
        """Compare it with the topic, and its counters with each other; what was emptied has no pictures any more."""
        said, counts = await self._topic(), await self.plant.counters()
        stored = await self.plant.outcomes()
        wrong = [] if stored == {part: next(iter(found)) for part, found in said.items()} else [f"store: {stored}"]
        if (counts.announced, counts.settled) != (len(PARTS), len(PARTS)):
            wrong.append(f"store: {counts}")
        shown = stored.get("bad") is Outcome.REJECT and not self._course.emptied
        if shown and await self.plant.store.picture(LINE, "bad", "camera") != b"jpeg":
            wrong.append("a reject has no picture")
        return wrong

    async def _check_gate(self) -> list[str]:
        """Compare what it did with what is recorded."""
        stored, done, plc = await self.plant.outcomes(), self.plant.actions(), self.plant.plc.counters()
        wrong = [] if set(done) == set(PARTS) else [f"parts at the gate: {sorted(done)}"]
        wrong += [
            f"{part}: recorded {stored.get(part)}, done {action}"
            for part, action in done.items()
            if part not in stored or DID.get(stored[part], GateAction.DEFAULTED) is not action
        ]
        wrong += [f"{part} passed" for part in set(done) - PASSES if done[part] is GateAction.PASSED]
        if plc.heartbeat_losses or plc.bad_checksum or plc.unknown_part:
            wrong.append(f"PLC: {plc}")
        if done.get("after") is not GateAction.PASSED and self._course.halts is None:
            wrong.append(f"nobody passed a good part long after the crash: {done.get('after')}")
        return wrong

    async def _check_halt(self) -> list[str]:
        """Look for a line that goes on, and for a halt or a change of the policy that somebody was not told of."""
        store, plant = self.plant.store, self.plant
        wrong = [] if plant.actions().get("after") is GateAction.DEFAULTED else ["a part passed on a halted line"]
        halted, _ = await PolicyKeeper(store, plant.topics, LINE).halted()
        if halted is None or not halted.halted:
            wrong.append(f"the store says of the halt: {halted}")
        standing = await store.standing_alerts(LINE)
        wrong += [f"not on the board: {key}" for key in ("LINE_HALTED", "POLICY_CHANGED/1") if key not in standing]
        if "LINE_HALTED" in standing and standing["LINE_HALTED"].cleared_ns:
            wrong.append("the alert of the halt is over")
        records = await read_all(plant.bus, plant.topics.decisions)
        if not any(kind_of(record.value) is PolicyChange for record in records):
            wrong.append("the change of the policy is not on the topic")
        return wrong

    async def _check_open_gate(self) -> list[str]:
        """Look for parts that it let go without a PASS: while nobody beats the line stands, and verdicts may come."""
        stored, gone = await self.plant.outcomes(), (GateAction.PASSED, GateAction.UNSIGNALLED)
        went = {part for part, done in self.plant.actions().items() if done in gone}
        return [f"{part} went" for part in went if part == "bad" or stored.get(part) is not Outcome.PASS]


@asynccontextmanager
async def played(dies_at: CrashPoint | None, course: Course) -> AsyncIterator[Played]:
    """Run production once."""
    run = Played(dies_at, course)
    try:
        await run.play()
        yield run
    finally:
        await run.close()
