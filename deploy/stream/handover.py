"""`linewarden bench payloads`: what it costs to hand frames over in messages, through Redis, in shared memory."""

from __future__ import annotations

import asyncio
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from isal.isal_zlib import crc32
from rich.table import Table

from deploy.chart import Bar, Chart, Panel
from deploy.machine import machine_facts, machine_note
from deploy.servers.kafka import KafkaServer
from deploy.servers.redis import RedisServer
from deploy.speed.sampling import process_seconds
from detector.fetch import fetch
from shared.bus.base import Subscription
from shared.bus.kafka import KafkaBus, KafkaBusSettings
from shared.clock import NS_PER_S, SystemClock
from shared.domain import Capture, CaptureId
from shared.errors import ServerError
from shared.log import get_logger
from shared.store.base import PayloadStore
from shared.store.redis import RedisStore
from shared.store.settings import StoreSettings
from shared.store.shared_memory import SharedMemoryPayloads
from shared.wire import Encoding, FrameMessage, PayloadReference, decode, encode

MESSAGE: Final = "in its message"
REDIS: Final = "through Redis"
MEMORY: Final = "in shared memory"
WAYS: Final = (MESSAGE, REDIS, MEMORY)
_MESSAGE_BYTES: Final = 16 * 1024 * 1024
_TOPIC: Final = "frames"
_WARM_UP: Final = 5
_TTL_S: Final = 10
_WAIT_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Way:
    """One way for frames of one size: from the encoded picture to a payload that was checked, on the other side.

    `processor_ms` is what this process, which is both sides, and the servers use for a frame; `of_message` the median
    over turns of the time by that of the frame in its message.
    """

    way: str
    frame_bytes: int
    p50_ms: float
    p99_ms: float
    processor_ms: float
    of_message: float


@dataclass(frozen=True, slots=True)
class HandoverFigures:
    """All ways for all sizes, in turns."""

    rounds: int
    ways: tuple[Way, ...]
    machine: dict[str, Any] = field(default_factory=machine_facts)

    def to_json(self) -> dict[str, Any]:
        """Return the figures under stable names."""
        return asdict(self)

    def table(self) -> Table:
        """Return the figures for people."""
        title = f"From one role to the other on one machine, {self.rounds} turns"
        table = Table(title=title, title_justify="left", show_edge=False)
        for heading in ("frame", "", "p50 / p99 ms", "of its message's", "processor, ms"):
            table.add_column(heading, justify="right")
        for one in self.ways:
            size = f"{one.frame_bytes / 1e6:.1f} MB"
            times = f"{one.p50_ms:.2f} / {one.p99_ms:.2f}"
            table.add_row(size, one.way, times, f"{one.of_message:.2f}", f"{one.processor_ms:.2f}")
        return table

    def chart(self) -> Chart:
        """Return each way beside the message."""
        bars = tuple(Bar(f"{one.frame_bytes / 1e6:.1f} MB {one.way}", {"": one.of_message}) for one in self.ways)
        panel = Panel("time to hand a frame over, as a share of a frame in its message", bars)
        return Chart("Frames on one machine", (panel,), machine_note(self.machine))


@dataclass(slots=True)
class _Ways:
    """What all ways share: the bus, both stores, whose processes count, and the next frame's number."""

    bus: KafkaBus
    ears: Subscription
    stores: Mapping[str, PayloadStore]
    servers: tuple[int, ...]
    clock: SystemClock
    number: int = 0

    def used_s(self) -> float:
        """Return the processor's seconds of this process and the servers."""
        return time.process_time() + sum(process_seconds(pid) for pid in self.servers)

    async def hand_over(self, way: str, payload: bytes) -> None:
        """Send a frame and take it, checked; raises `ServerError` for one that does not come."""
        self.number += 1
        now_ns = self.clock.utc_ns()
        capture = Capture(CaptureId("line", "camera", 1, self.number), f"part-{self.number}", now_ns, now_ns)
        message = FrameMessage(capture, Encoding.RAW, len(payload), 1, 1)
        store = self.stores.get(way)
        if store is None:
            value = encode(message, payload)
        else:
            await store.put_payload(capture.id, payload, ttl_s=_TTL_S)
            value = encode(replace(message, reference=PayloadReference(len(payload), crc32(payload))))
        await self.bus.publish(_TOPIC, value, key=None, partition=0)
        taken, came = decode(FrameMessage, await self._next())
        if taken.reference is not None and store is not None:
            due_ns = self.clock.monotonic_ns() + _TTL_S * NS_PER_S
            log = get_logger("bench")
            fetched = await fetch(store, taken, due_ns=due_ns, clock=self.clock, log=log)
            came = memoryview(fetched or b"")
        if taken.capture != capture or len(came) != len(payload):
            raise ServerError(f"a frame came {way} that was not sent", "Try again.")

    async def _next(self) -> bytes:
        async with asyncio.timeout(_WAIT_S):
            while not (records := await self.ears.poll(max_records=1, timeout_s=1)):
                pass
        return records[0].value


async def handover(*, sizes: tuple[int, ...], rounds: int) -> HandoverFigures:
    """Let the ways take turns with each size, on real servers; raises `ServerError` for what this machine lacks."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="linewarden-handover-")))
        kafka = stack.enter_context(KafkaServer(folder / "kafka"))
        redis = stack.enter_context(RedisServer(folder / "redis"))
        ways = await _ready(stack, kafka, redis)
        found = []
        for size in sizes:
            payload = np.random.default_rng(0).bytes(size)
            taken: dict[str, list[float]] = {way: [] for way in WAYS}
            used: dict[str, list[float]] = {way: [] for way in WAYS}
            for turn in range(_WARM_UP + rounds):
                for way in WAYS:
                    before_s, began = ways.used_s(), time.perf_counter()
                    await ways.hand_over(way, payload)
                    took_s, used_s = time.perf_counter() - began, ways.used_s() - before_s
                    if turn >= _WARM_UP:
                        taken[way].append(took_s * 1_000)
                        used[way].append(used_s * 1_000)
            found += ways_of(size, taken, used)
        return HandoverFigures(rounds, tuple(found))


def ways_of(size: int, taken_ms: Mapping[str, list[float]], used_ms: Mapping[str, list[float]]) -> list[Way]:
    """Return the figures of all ways for one size."""
    message = np.asarray(taken_ms[MESSAGE])
    return [
        Way(
            way=way,
            frame_bytes=size,
            p50_ms=float(np.percentile(times, 50)),
            p99_ms=float(np.percentile(times, 99)),
            processor_ms=float(np.mean(used_ms[way])),
            of_message=float(np.median(np.asarray(times) / message)),
        )
        for way, times in taken_ms.items()
    ]


async def _ready(stack: AsyncExitStack, kafka: KafkaServer, redis: RedisServer) -> _Ways:
    def later(close: Callable[[], Awaitable[None]]) -> None:
        stack.push_async_callback(close)

    clock = SystemClock()
    bus = KafkaBus(KafkaBusSettings.from_url(kafka.url, max_message_bytes=_MESSAGE_BYTES))
    later(bus.close)
    await bus.ensure_topics({_TOPIC: 1})
    ears = await bus.subscribe([_TOPIC], group="taker", member="taker")
    later(ears.close)
    through = RedisStore.from_url(redis.url, StoreSettings())
    later(through.close)
    memory = SharedMemoryPayloads.from_url(f"shm:///bench-{uuid.uuid4().hex[:12]}", key_prefix="bench", clock=clock)
    memory.prepare()
    stack.callback(memory.remove)
    return _Ways(bus, ears, {REDIS: through, MEMORY: memory}, (kafka.pid, redis.pid), clock)
