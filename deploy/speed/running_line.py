"""A whole line in this process, whose camera shows a part whenever it is let: at once, or at a rate."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from deploy.adapters import adapters_for
from deploy.app import Role, build
from deploy.collecting import set_aside
from deploy.roles.ingest import make_photo_eye, make_preparation, make_register
from ingest.service import Equipment, IngestService
from ingest.sources.base import Shot
from shared.bus.base import Bus, Record, Subscription, TopicPartition
from shared.clock import NS_PER_MS, NS_PER_S, Clock
from shared.domain import Decision, Outcome
from shared.envelope import Headers
from shared.errors import ServerError
from shared.lifecycle import serve
from shared.settings import Settings, from_dict
from shared.wire import decode

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LINE: Final = "line-1"
GATE_MS: Final = 5_000
_LEAD_MS: Final = 200
_SETTLE_S: Final = 30.0


class TappedBus:
    """A bus that says what is published, to whoever asked, before it goes on."""

    def __init__(self, bus: Bus, topic: str) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()
        self._bus = bus
        self._topic = topic

    async def ensure_topics(self, partitions: Mapping[str, int]) -> None:
        """Pass it on."""
        await self._bus.ensure_topics(partitions)

    async def partition_counts(self, topics: Sequence[str]) -> dict[str, int]:
        """Pass it on."""
        return await self._bus.partition_counts(topics)

    async def publish(
        self, topic: str, value: bytes, *, key: bytes | None, partition: int, headers: Headers = ()
    ) -> None:
        """Pass it on, and keep what goes to the topic that is listened to."""
        await self._bus.publish(topic, value, key=key, partition=partition, headers=headers)
        if topic == self._topic:
            self.heard.put_nowait(value)

    async def subscribe(self, topics: Sequence[str], *, group: str, member: str) -> Subscription:
        """Pass it on."""
        return await self._bus.subscribe(topics, group=group, member=member)

    async def read(self, places: Collection[TopicPartition], *, group: str, member: str) -> Subscription:
        """Pass it on."""
        return await self._bus.read(places, group=group, member=member)

    def history(self, topic: str, partition: int, *, newest: int | None = None) -> AsyncGenerator[Record, None]:
        """Pass it on."""
        return self._bus.history(topic, partition, newest=newest)

    async def close(self) -> None:
        """Pass it on."""
        await self._bus.close()


class LetSource:
    """A camera of prepared pictures, each of which it shows when it is let."""

    numbers_parts = True
    counts: Mapping[str, int] = MappingProxyType({})

    def __init__(self, pictures: Sequence[NDArray[np.uint8]], clock: Clock) -> None:
        self.permits = asyncio.Semaphore(0)
        self._pictures = itertools.cycle(pictures)
        self._clock = clock
        self._number = 0

    async def open(self) -> None:
        """Be there."""

    async def read(self) -> Shot | None:
        """Show the next picture once it may, exposed now."""
        await self.permits.acquire()
        self._number += 1
        return Shot(next(self._pictures), self._clock.utc_ns(), self._number)

    async def close(self) -> None:
        """Go."""


@dataclass(frozen=True, slots=True)
class Flow:
    """A turn: how many parts were decided by what was seen of them, and by default, in how many seconds."""

    inspected: int
    defaulted: int
    seconds: float
    latencies_ms: tuple[float, ...] = ()

    @property
    def per_s(self) -> float:
        """Return the pictures that came to a decision each second."""
        return self.inspected / self.seconds


@dataclass(slots=True)
class RunningLine:
    """What runs; it shows nothing until it is let."""

    source: LetSource
    clock: Clock
    _heard: asyncio.Queue[bytes]
    _decided: list[Decision] = field(default_factory=list)

    async def flow(self, seconds: float, *, window: int) -> Flow:
        """Let a new part come for each that is decided, `window` at a time, and count from the first `window` on."""
        await self._show(window)
        await self._until(window, more=True)
        began_ns, counted = self.clock.monotonic_ns(), len(self._decided)
        while (now_ns := self.clock.monotonic_ns()) < began_ns + seconds * NS_PER_S:
            await self._until(1, more=True)
        taken = self._decided[counted:]
        await self._until(window, more=False)
        return _flow(taken, (now_ns - began_ns) / NS_PER_S)

    async def paced(self, seconds: float, *, fps: float) -> Flow:
        """Let a part come every 1 / `fps` seconds; latencies are from capture to the acknowledged signal."""
        began_ns, counted = self.clock.monotonic_ns(), len(self._decided)
        count = round(seconds * fps)
        for number in range(count):
            wait_ns = began_ns + number / fps * NS_PER_S - self.clock.monotonic_ns()
            await self.clock.sleep(max(0.0, wait_ns / NS_PER_S))
            await self._show(1)
        took_s = (self.clock.monotonic_ns() - began_ns) / NS_PER_S
        await self._until(count, more=False)
        return _flow(self._decided[counted:], took_s)

    async def _show(self, parts: int) -> None:
        for _ in range(parts):
            self.source.permits.release()

    async def _until(self, parts: int, *, more: bool) -> None:
        """Hear so many decisions, showing one more part for each if there is to be `more`."""
        try:
            async with asyncio.timeout(_SETTLE_S):
                for _ in range(parts):
                    value = await self._heard.get()
                    if more:
                        self.source.permits.release()
                    self._decided.append(decode(Decision, value)[0])
        except TimeoutError:
            raise ServerError(f"The line decided no part within {_SETTLE_S:g} s.", "Try again.") from None


@asynccontextmanager
async def running_line(pictures: Sequence[NDArray[np.uint8]], settings: Settings) -> AsyncIterator[RunningLine]:
    """Run all roles with one camera that shows `pictures`, until the caller is done."""
    async with adapters_for(settings) as plain:
        tapped = TappedBus(plain.bus, settings.topics.decisions)
        adapters = replace(plain, bus=tapped)
        source = LetSource(pictures, adapters.clock)
        ingest = IngestService(
            settings,
            plan=adapters.plan.plan,
            bus=adapters.bus,
            payloads=adapters.payloads,
            clock=adapters.clock,
            equipment=Equipment(
                source=lambda _: source, photo_eye=make_photo_eye, register=make_register, preparation=make_preparation
            ),
        )
        services = [ingest, *build(Role.DETECTOR, settings, adapters), *build(Role.ALERTING, settings, adapters)]
        stop = asyncio.Event()
        serving = asyncio.create_task(serve(services, stop, drain_s=settings.drain_s, clock=adapters.clock))
        line = RunningLine(source, adapters.clock, tapped.heard)
        # As the roles' own processes do once they are built.
        set_aside()
        try:
            yield line
        finally:
            stop.set()
            await serving


def line_settings(
    model: Path,
    *,
    threads: int,
    encoding: str = "auto",
    bus: str = "memory://",
    signal: str = "none",
    engine: Mapping[str, object] = MappingProxyType({}),
) -> Settings:
    """Return the settings of a line of one camera; `engine` holds more of the detector's."""
    return from_dict(
        {
            "bus": {"url": bus, "topic_prefix": "speed"},
            "detector": {"model": model, "threads": threads, **engine},
            "lines": [
                {
                    "name": LINE,
                    "gate_delay_ms": GATE_MS,
                    "actuation_lead_ms": _LEAD_MS,
                    "cameras": [{"name": "camera", "encoding": encoding}],
                    "signal": {"url": signal, "photo_eye": signal != "none"},
                }
            ],
        }
    )


def _flow(decided: Sequence[Decision], seconds: float) -> Flow:
    seen = [one for one in decided if one.outcome is not Outcome.DEFAULT_REJECT]
    latencies_ms = tuple(
        (one.stamps_ns["signalled"] - one.captured_at_ns) / NS_PER_MS for one in seen if "signalled" in one.stamps_ns
    )
    return Flow(len(seen), len(decided) - len(seen), seconds, latencies_ms)
