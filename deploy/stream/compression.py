"""`linewarden bench compression`: what each codec saves and costs on what the line sends, in turns on one broker."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, get_args

import numpy as np
from rich.table import Table

from deploy.machine import machine_facts
from deploy.servers.kafka import KafkaServer
from deploy.stream.payloads import KINDS, Kind
from shared.bus.kafka import Compression, KafkaBus, KafkaBusSettings

CODECS: Final[tuple[Compression, ...]] = get_args(Compression)
_LIMIT_BYTES: Final = 8 * 1024 * 1024
_AT_ONCE: Final = 32
_WARM_UP: Final = 32
_POLL: Final = 64


@dataclass(frozen=True, slots=True)
class CodecFigures:
    """One codec on one kind of message.

    `speed` and `disk` are medians over the rounds of the ratio to no compression in the same round; `disk` is taken at
    the fixed rate, at which a batch is one message. The processor's times are our own alone, a producer's and a
    consumer's. The percentiles are of all rounds' publishes at `rate_hz`, each from when it was due.
    """

    kind: str
    codec: str
    message_bytes: int
    per_s: float
    speed: float
    disk: float
    send_ms: float
    take_ms: float
    rate_hz: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class CompressionFigures:
    """All codecs on all kinds."""

    rounds: int
    seconds: float
    rows: tuple[CodecFigures, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the figures."""
        return {**asdict(self), "machine": machine_facts()}

    def table(self) -> Table:
        """Return the figures for people."""
        title = f"Compression by the producer, {self.rounds} rounds in turns, {_AT_ONCE} messages on their way"
        table = Table(title=title, title_justify="left", show_edge=False)
        for heading in (
            *("message", "KB", "codec", "a second", "ratio", "on disk"),
            *("send ms", "take ms", "p99 ms"),
        ):
            table.add_column(heading, justify="right")
        for one in self.rows:
            table.add_row(
                one.kind,
                f"{one.message_bytes / 1_000:.1f}",
                one.codec,
                f"{one.per_s:.0f}",
                f"{one.speed:.2f}",
                f"{one.disk:.3f}",
                f"{one.send_ms:.2f}",
                f"{one.take_ms:.2f}",
                f"{one.p99_ms:.1f}",
            )
        return table


@dataclass(slots=True)
class _Seen:
    """What the rounds of one codec on one kind showed."""

    per_s: list[float] = field(default_factory=list)
    disk_bytes: list[float] = field(default_factory=list)
    send_ms: list[float] = field(default_factory=list)
    take_ms: list[float] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)


class _Run:
    """One kind, one codec, one topic of its own."""

    def __init__(self, kafka: KafkaServer, bus: KafkaBus, kind: Kind, messages: Sequence[bytes], topic: str) -> None:
        self._kafka = kafka
        self._bus = bus
        self._kind = kind
        self._messages = messages
        self._topic = topic

    async def measure(self, seen: _Seen, *, seconds: float) -> None:
        """Send as fast as can be, take it, and send at the kind's rate."""
        await self._bus.ensure_topics({self._topic: self._kind.partitions})
        count = self._kind.budget_bytes // len(self._messages[0])
        await self._flood(_WARM_UP)
        wall_s, processor_s = await _timed(lambda: self._flood(count))
        seen.per_s.append(count / wall_s)
        seen.send_ms.append(processor_s / count * 1_000)
        _, processor_s = await _timed(lambda: self._take(_WARM_UP + count))
        seen.take_ms.append(processor_s / (_WARM_UP + count) * 1_000)
        before = self._on_disk()
        seen.latencies_ms += await self._paced(round(seconds * self._kind.rate_hz))
        seen.disk_bytes.append(self._on_disk() - before)

    async def _publish(self, number: int) -> None:
        value = self._messages[number % len(self._messages)]
        await self._bus.publish(self._topic, value, key=None, partition=number % self._kind.partitions)

    async def _flood(self, count: int) -> None:
        gate = asyncio.Semaphore(_AT_ONCE)

        async def publish(number: int) -> None:
            async with gate:
                await self._publish(number)

        await asyncio.gather(*(publish(number) for number in range(count)))

    async def _take(self, count: int) -> None:
        subscription = await self._bus.subscribe([self._topic], group=self._topic, member="take")
        taken = 0
        while taken < count:
            for record in await subscription.poll(max_records=_POLL, timeout_s=1):
                taken += 1
                if len(record.value) < 1:
                    raise AssertionError("a message came back empty")
        await subscription.close()

    async def _paced(self, count: int) -> list[float]:
        began = time.perf_counter()
        latencies_ms = []

        async def publish(number: int) -> None:
            due = began + number / self._kind.rate_hz
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            await self._publish(number)
            latencies_ms.append((time.perf_counter() - due) * 1_000)

        await asyncio.gather(*(publish(number) for number in range(count)))
        return latencies_ms

    def _on_disk(self) -> int:
        logs = self._kafka.data_dir.rglob("*.log")
        return sum(log.stat().st_size for log in logs if log.parent.name.rpartition("-")[0] == self._topic)


async def compression(*, seconds: float, rounds: int, kinds: Sequence[Kind] = KINDS) -> CompressionFigures:
    """Let the codecs take turns on each kind; raises `ServerError` for what this machine lacks."""
    seen = {(kind.name, codec): _Seen() for kind in kinds for codec in CODECS}
    sizes: dict[str, int] = {}
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="linewarden-compression-"))
        kafka = stack.enter_context(KafkaServer(Path(folder) / "kafka"))
        buses = {}
        for codec in CODECS:
            settings = KafkaBusSettings.from_url(kafka.url, max_message_bytes=_LIMIT_BYTES, compression=codec)
            buses[codec] = KafkaBus(settings)
            stack.push_async_callback(buses[codec].close)
        for kind in kinds:
            messages = kind.messages()
            sizes[kind.name] = round(statistics.mean(map(len, messages)))
            # The first turn warms up; then each codec is first, second and last in turn.
            for turn in range(1 + rounds):
                for place in range(len(CODECS)):
                    codec = CODECS[(turn + place) % len(CODECS)]
                    run = _Run(kafka, buses[codec], kind, messages, f"{kind.name}-{codec}-{turn}")
                    await run.measure(
                        seen[kind.name, codec] if turn else _Seen(), seconds=seconds if turn else min(1.0, seconds)
                    )
    rows = tuple(
        _figures(kind, codec, sizes[kind.name], seen[kind.name, codec], seen[kind.name, CODECS[0]])
        for kind in kinds
        for codec in CODECS
    )
    return CompressionFigures(rounds, seconds, rows)


def _figures(kind: Kind, codec: Compression, size: int, seen: _Seen, plain: _Seen) -> CodecFigures:
    p50, p99 = (float(value) for value in np.percentile(seen.latencies_ms, (50, 99)))
    return CodecFigures(
        kind=kind.name,
        codec=codec,
        message_bytes=size,
        per_s=statistics.median(seen.per_s),
        speed=_ratio(seen.per_s, plain.per_s),
        disk=_ratio(seen.disk_bytes, plain.disk_bytes),
        send_ms=statistics.median(seen.send_ms),
        take_ms=statistics.median(seen.take_ms),
        rate_hz=kind.rate_hz,
        p50_ms=p50,
        p99_ms=p99,
    )


def _ratio(ours: Sequence[float], plain: Sequence[float]) -> float:
    return statistics.median(one / none for one, none in zip(ours, plain, strict=True))


async def _timed(work: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    wall, processor = time.perf_counter(), time.process_time()
    await work()
    return time.perf_counter() - wall, time.process_time() - processor
