"""A load for the alerting service: lines whose cameras, detector and gates are made up, in this process."""

from __future__ import annotations

import asyncio
import random
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from alerting.plc_sim.simulator import GateSimulator
from alerting.service import AlertingService
from alerting.signals.memory import MemoryGateSignals
from shared.bus.memory import MemoryBus
from shared.clock import NS_PER_MS, NS_PER_S, Clock
from shared.domain import Capture, CaptureId, PartAnnouncement, Region, Signal, Verdict, VerdictStatus
from shared.partition_plan import PartitionPlan
from shared.plc import Delivery, PlcCounters
from shared.settings import LineSettings, Settings, from_dict
from shared.store.base import LineCounters, Store
from shared.topics import part_key
from shared.wire import VerdictMessage, encode

_CAMERA: Final = "top"
_INSPECTION_NS: Final = 80 * NS_PER_MS
"""How long after its exposure a part's verdict comes."""
_REJECTS: Final = 0.02
_SILENT: Final = 0.005
_PICTURE: Final = bytes(20_000)
_KNOWN: Final = 500
"""How many parts a made-up gate remembers: what it holds is no memory of the service."""
_REJECT_AT: Final = 3.0


@dataclass(frozen=True, slots=True)
class Load:
    """So many parts on so many lines, evenly over a time."""

    lines: int
    parts: int
    seconds: float
    seed: int = 0

    @property
    def parts_a_line(self) -> int:
        """Return it, rounded up: the load is never less than was asked for."""
        return -(-self.parts // self.lines)

    @property
    def period_ns(self) -> int:
        """Return the time between two parts of a line."""
        return round(self.seconds * NS_PER_S / self.parts_a_line)

    def settings(self, store: str) -> Settings:
        """Return the settings of its lines."""
        line = {"cameras": [{"name": _CAMERA}], "reject_at": _REJECT_AT, "shifts": ["06:00", "14:00", "22:00"]}
        lines = [{**line, "name": f"line-{number + 1}"} for number in range(self.lines)]
        return from_dict({"lines": lines, "store": {"url": store, "key_prefix": "linewarden-bench"}})


class TimedSignals(MemoryGateSignals):
    """A gate in memory that notes how long after its verdict each part's result was taken."""

    def __init__(self, gate: GateSimulator, clock: Clock) -> None:
        super().__init__(gate)
        self.gate = gate
        self._clock = clock
        self.said_ns: dict[str, int] = {}
        self.latencies_ms = array("d")

    async def send(self, signal: Signal) -> Delivery:
        """Pass it on."""
        delivery = await super().send(signal)
        said_ns = self.said_ns.pop(signal.part_id, None)
        if said_ns is not None:
            self.latencies_ms.append((self._clock.utc_ns() - said_ns) / NS_PER_MS)
        return delivery


@dataclass(slots=True)
class Made:
    """How many of a line's parts were said to be good and to be bad, and how many nobody judged."""

    good: int = 0
    bad: int = 0
    silent: int = 0


@dataclass(frozen=True, slots=True)
class Counted:
    """The parts that were counted, beside those that the load made.

    Nobody judged `unjudged` ones. Those `astray` were counted as something else than what was said of them.
    """

    made: int
    parts: int
    unjudged: int
    astray: int
    balanced: bool


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a load: verdict to acknowledged signal for each part, what was made, both sides' counts by line."""

    latencies_ms: tuple[float, ...]
    made: tuple[Made, ...]
    counters: tuple[LineCounters, ...]
    gates: tuple[PlcCounters, ...]

    @property
    def counted(self) -> Counted:
        """Return the counts of all lines beside the load's own."""
        return Counted(
            made=sum(one.good + one.bad + one.silent for one in self.made),
            parts=sum(one.announced for one in self.counters),
            unjudged=sum(one.silent for one in self.made),
            astray=sum(
                max(0, said.good - found.passed)
                + max(0, said.bad - found.rejected)
                + max(0, said.silent - found.defaulted)
                for said, found in zip(self.made, self.counters, strict=True)
            ),
            balanced=self.balanced,
        )

    @property
    def balanced(self) -> bool:
        """Return whether every part has one decision, and the gates counted the same and saw nothing odd."""
        return all(
            (ours.announced, ours.passed, ours.rejected, ours.defaulted)
            == (theirs.parts, theirs.passed, theirs.rejected, theirs.defaulted)
            and ours.announced == ours.settled
            and not theirs.mismatches
            for ours, theirs in zip(self.counters, self.gates, strict=True)
        )


async def run_load(load: Load, settings: Settings, *, clock: Clock, store: Store, watch: Callable[[], None]) -> Ran:
    """Run it to its end on `clock`, calling `watch` once a minute."""
    bus = MemoryBus(clock)
    plan = PartitionPlan().grown(settings.wanted)
    await bus.ensure_topics(plan.partitions(settings.topics))
    gates = {
        line.name: TimedSignals(GateSimulator(line.gate, clock, remembered_parts=_KNOWN), clock)
        for line in settings.lines
    }
    service = AlertingService(
        settings, plan=plan, bus=bus, store=store, clock=clock, signals=lambda line: gates[line.name]
    )
    stop = asyncio.Event()
    serving = asyncio.create_task(service.run(stop))
    watching = asyncio.create_task(_each_minute(clock, watch))
    began_ns = clock.utc_ns() + NS_PER_S
    lines = [_Line(load, line, began_ns, settings=settings, plan=plan, bus=bus, clock=clock) for line in settings.lines]
    async with asyncio.TaskGroup() as tasks:
        for name, line in zip(gates, lines, strict=True):
            tasks.create_task(line.expose(gates[name]))
            tasks.create_task(line.inspect(gates[name]))
    stop.set()
    await serving
    watching.cancel()
    for gate in gates.values():
        gate.gate.tick()
    return Ran(
        latencies_ms=tuple(latency for gate in gates.values() for latency in gate.latencies_ms),
        made=tuple(line.made for line in lines),
        counters=tuple([await store.counters(line.name) for line in settings.lines]),
        gates=tuple(gate.gate.counters() for gate in gates.values()),
    )


async def _each_minute(clock: Clock, watch: Callable[[], None]) -> None:
    while True:
        watch()
        await clock.sleep(60)


class _Line:
    """One line's photo-eye, camera and detector."""

    def __init__(
        self,
        load: Load,
        line: LineSettings,
        began_ns: int,
        *,
        settings: Settings,
        plan: PartitionPlan,
        bus: MemoryBus,
        clock: Clock,
    ) -> None:
        self.made = Made()
        self._line = line
        self._count = load.parts_a_line
        self._period_ns = load.period_ns
        # Lines that all exposed at one instant would be no load but a burst.
        self._began_ns = began_ns + settings.lines.index(line) * load.period_ns // load.lines
        self._random = random.Random(f"{load.seed} {line.name}")  # noqa: S311 - a load, no secret
        self._topics = settings.topics
        self._partition = plan.of_line(line.name)
        self._bus = bus
        self._clock = clock

    async def expose(self, signals: TimedSignals) -> None:
        """Let each part pass the photo-eye and announce it."""
        for number in range(self._count):
            at_ns = await self._until(number, 0)
            part_id = str(number)
            signals.gate.photo_eye(part_id, at_ns + self._line.gate_delay_ns)
            await self._put(
                self._topics.captures,
                part_id,
                encode(
                    PartAnnouncement(
                        self._line.name, part_id, (_CAMERA,), at_ns, self._line.decide_by_ns(at_ns), "good"
                    )
                ),
            )

    async def inspect(self, signals: TimedSignals) -> None:
        """Say each part's verdict, but for a few."""
        for number in range(self._count):
            at_ns = await self._until(number, _INSPECTION_NS)
            drawn = self._random.random()
            if drawn < _SILENT:
                self.made.silent += 1
                continue
            part_id, rejects = str(number), drawn < _SILENT + _REJECTS
            self.made.bad += rejects
            self.made.good += not rejects
            verdict = self._verdict(number, at_ns, 5.0 if rejects else 2 * drawn)
            signals.said_ns[part_id] = self._clock.utc_ns()
            await self._put(
                self._topics.verdicts, part_id, encode(VerdictMessage(verdict), _PICTURE if rejects else b"")
            )

    async def _until(self, number: int, delay_ns: int) -> int:
        """Sleep until a part's exposure and so long; return when it was exposed."""
        at_ns = self._began_ns + number * self._period_ns
        await self._clock.sleep((at_ns + delay_ns - self._clock.utc_ns()) / NS_PER_S)
        return at_ns

    async def _put(self, topic: str, part_id: str, value: bytes) -> None:
        await self._bus.publish(topic, value, key=part_key(self._line.name, part_id), partition=self._partition)

    def _verdict(self, number: int, at_ns: int, score: float) -> Verdict:
        capture = Capture(
            CaptureId(self._line.name, _CAMERA, 1, number + 1), str(number), at_ns, self._line.decide_by_ns(at_ns)
        )
        return Verdict(
            capture=capture,
            status=VerdictStatus.INSPECTED,
            raw_score=score / 10,
            score=score,
            regions=tuple(Region(10 * one, 20, 30, 40, 900, 0.5) for one in range(3)),
            model_id="lite-0123456789abcdef",
            calibration_id="cal-0123456789abcdef",
            stamps_ns=dict.fromkeys(("published", "taken", "batched", "inferred"), self._clock.utc_ns()),
        )
