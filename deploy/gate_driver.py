"""linewarden's side of a gate for benchmarks: parts are decided a while after the photo-eye, and each is signalled."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from shared.clock import NS_PER_MS, NS_PER_S
from shared.domain import Outcome, Signal
from shared.errors import SignalError
from shared.plc import Delivery

if TYPE_CHECKING:
    from alerting.signals.base import GateSignals
    from shared.clock import Clock

_BEAT_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class DriverSettings:
    """When a part is decided after it was seen, when its gate must know at the latest, and how many are bad."""

    decide_ms: tuple[float, float] = (30.0, 120.0)
    gate_delay_ms: float = 390.0
    actuation_lead_ms: float = 60.0
    defects: float = 0.1
    seed: int = 0


@dataclass(slots=True)
class DriverRecord:
    """What was told: each part's outcome and the PLC's word on it, and how long the word took."""

    told: dict[str, Outcome] = field(default_factory=dict)
    answers: dict[str, Delivery | None] = field(default_factory=dict)
    acknowledge_ms: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class GateDriver:
    """Sends one signal after the other, as a line's gate does, in the order in which their decisions come."""

    def __init__(self, signals: GateSignals, clock: Clock, settings: DriverSettings) -> None:
        self._signals = signals
        self._clock = clock
        self._settings = settings
        self._chance = random.Random(settings.seed)  # noqa: S311 - a simulation's
        self._ready: asyncio.PriorityQueue[tuple[int, str, Outcome, int]] = asyncio.PriorityQueue()
        self._sequence = 0
        self.record = DriverRecord()

    def seen(self, part_id: str) -> None:
        """Take a part in at the photo-eye."""
        now_ns = self._clock.monotonic_ns()
        bad = self._chance.random() < self._settings.defects
        outcome = Outcome.REJECT if bad else Outcome.PASS
        takes_ms = self._chance.uniform(*self._settings.decide_ms)
        lead_ms = 0.0 if bad else self._settings.actuation_lead_ms
        deadline_ns = self._clock.utc_ns() + round((self._settings.gate_delay_ms - lead_ms) * NS_PER_MS)
        self.record.told[part_id] = outcome
        self._ready.put_nowait((now_ns + round(takes_ms * NS_PER_MS), part_id, outcome, deadline_ns))

    async def run(self) -> None:
        """Signal until cancelled."""
        accepted = await self._signals.open()
        self._sequence = accepted.sequence
        while True:
            ready_ns, part_id, outcome, deadline_ns = await self._ready.get()
            await self._clock.sleep((ready_ns - self._clock.monotonic_ns()) / NS_PER_S)
            self._sequence += 1
            began_ns = self._clock.monotonic_ns()
            try:
                answer = await self._signals.send(Signal(self._sequence, "line-1", part_id, outcome, deadline_ns))
            except SignalError as error:
                self.record.errors.append(str(error))
                self.record.answers[part_id] = None
                continue
            self.record.answers[part_id] = answer
            self.record.acknowledge_ms.append((self._clock.monotonic_ns() - began_ns) / NS_PER_MS)

    async def beat(self) -> None:
        """Beat until cancelled."""
        while True:
            try:
                await self._signals.beat()
            except SignalError as error:
                self.record.errors.append(str(error))
            await self._clock.sleep(_BEAT_S)
