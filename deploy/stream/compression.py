"""`linewarden bench compression`: what compressing messages saves on the broker, and what it costs on both sides."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import numpy as np
from rich.table import Table

from deploy.machine import machine_facts
from deploy.servers.kafka import KafkaServer
from ingest.encode import encode_pixels
from ingest.rendering.conveyor import Conveyor, ConveyorSettings
from shared.bus.kafka import KafkaBus, KafkaBusSettings
from shared.domain import Capture, CaptureId, Region, Verdict, VerdictStatus
from shared.wire import Encoding, FrameMessage, VerdictMessage, encode

CODECS: Final = ("none", "gzip", "lz4", "zstd")
_LIMIT_BYTES: Final = 8 * 1024 * 1024
_AT_ONCE: Final = 32
_PARTS: Final = 8
_VERDICTS: Final = 1_000
_JPEG_QUALITY: Final = 95
_HOPS: Final = ("exposed", "published", "received", "batched", "inferred")


@dataclass(frozen=True, slots=True)
class CodecFigures:
    """One codec on one kind of message: medians over the rounds; processor times are ours, on the event loop."""

    kind: str
    codec: str
    message_bytes: int
    messages_s: float
    send_ms: float
    take_ms: float
    stored_share: float


@dataclass(frozen=True, slots=True)
class CompressionFigures:
    """All codecs on all kinds of message."""

    rounds: int
    rows: tuple[CodecFigures, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the figures."""
        return {**asdict(self), "machine": machine_facts()}

    def table(self) -> Table:
        """Return the figures for people."""
        table = Table(title=f"Median of {self.rounds} rounds", title_justify="left", show_edge=False)
        for heading in ("message", "codec", "sent/s, of none", "processor ms to send", "to take", "stored, of sent"):
            table.add_column(heading, justify="right")
        plain = {row.kind: row.messages_s for row in self.rows if row.codec == "none"}
        for row in self.rows:
            table.add_row(
                f"{row.kind}, {row.message_bytes / 1000:.1f} KB",
                row.codec,
                f"{row.messages_s / plain[row.kind]:.2f}",
                f"{row.send_ms:.2f}",
                f"{row.take_ms:.2f}",
                f"{row.stored_share:.2f}",
            )
        return table


def measure_compression(*, seconds: float, rounds: int) -> CompressionFigures:
    """Send each kind of message with each codec in turn, for `seconds` each time; ServerError without a broker."""
    kinds = {
        "frame, JPEG": _frames(Encoding.JPEG, 1280, 1024),
        "frame, PNG": _frames(Encoding.PNG, 640, 480),
        "frame, raw": _frames(Encoding.RAW, 640, 480),
        "verdict": _verdicts(),
    }
    seen: dict[tuple[str, str], list[CodecFigures]] = {(kind, codec): [] for kind in kinds for codec in CODECS}
    with (
        tempfile.TemporaryDirectory(prefix="linewarden-compression-") as folder,
        KafkaServer(Path(folder) / "kafka") as kafka,
    ):
        for _ in range(rounds):
            for (kind, codec), rows in seen.items():
                rows.append(asyncio.run(_measure(kafka.url, Path(folder), kind, codec, kinds[kind], seconds)))
    return CompressionFigures(rounds, tuple(_median(rows) for rows in seen.values()))


def _median(rows: Sequence[CodecFigures]) -> CodecFigures:
    first = rows[0]
    figures = {
        name: statistics.median(getattr(row, name) for row in rows)
        for name in ("messages_s", "send_ms", "take_ms", "stored_share")
    }
    return CodecFigures(first.kind, first.codec, first.message_bytes, **figures)


async def _measure(
    url: str, folder: Path, kind: str, codec: str, messages: Sequence[bytes], seconds: float
) -> CodecFigures:
    topic = f"compression-{uuid4().hex}"
    bus = KafkaBus(KafkaBusSettings.from_url(url, max_message_bytes=_LIMIT_BYTES, compression=codec))
    try:
        await bus.ensure_topics({topic: 1})
        await _send(bus, topic, messages, 0.2)
        before = await _stored(folder, topic)
        wall, processor = time.perf_counter(), time.process_time()
        sent, sent_bytes = await _send(bus, topic, messages, seconds)
        wall_s, send_s = time.perf_counter() - wall, time.process_time() - processor
        stored = await _stored(folder, topic) - before
        processor = time.process_time()
        taken = await _take(bus, topic, sent)
        take_s = time.process_time() - processor
    finally:
        await bus.close()
    size = round(statistics.mean(map(len, messages)))
    return CodecFigures(
        kind, codec, size, sent / wall_s, send_s / sent * 1e3, take_s / taken * 1e3, stored / sent_bytes
    )


async def _send(bus: KafkaBus, topic: str, messages: Sequence[bytes], seconds: float) -> tuple[int, int]:
    """Publish as ingest does, so many on their way at once; return how many and how many bytes."""
    until = time.perf_counter() + seconds
    count = total = 0

    async def publish() -> None:
        nonlocal count, total
        while time.perf_counter() < until:
            message = messages[count % len(messages)]
            count, total = count + 1, total + len(message)
            await bus.publish(topic, message, key=b"line/camera", partition=0)

    await asyncio.gather(*(publish() for _ in range(_AT_ONCE)))
    return count, total


async def _take(bus: KafkaBus, topic: str, count: int) -> int:
    subscription = await bus.subscribe([topic], group=topic, member="take")
    taken = 0
    while taken < count:
        taken += len(await subscription.poll(max_records=8, timeout_s=1))
    await subscription.close()
    return taken


async def _stored(folder: Path, topic: str) -> int:
    return await asyncio.to_thread(lambda: sum(log.stat().st_size for log in folder.rglob(f"{topic}-0/*.log")))


def _frames(encoding: Encoding, width_px: int, height_px: int) -> list[bytes]:
    conveyor = Conveyor(ConveyorSettings(width_px=width_px, height_px=height_px))
    messages = []
    for number in range(_PARTS):
        payload = encode_pixels(conveyor.render(number).pixels, encoding, jpeg_quality=_JPEG_QUALITY)
        messages.append(encode(FrameMessage(_capture(number), encoding, width_px, height_px, 3), payload))
    return messages


def _verdicts() -> list[bytes]:
    rng = np.random.default_rng(0)
    return [
        encode(
            VerdictMessage(
                Verdict(
                    _capture(number),
                    VerdictStatus.INSPECTED,
                    raw_score=rng.random(),
                    score=rng.random(),
                    regions=tuple(
                        Region(int(rng.integers(400)), int(rng.integers(400)), 15, 12, 150, rng.random())
                        for _ in range(3)
                    ),
                    model_id="lite-0123456789ab",
                    calibration_id="0123456789ab",
                    stamps_ns={hop: int(rng.integers(1 << 60)) for hop in _HOPS},
                )
            )
        )
        for number in range(_VERDICTS)
    ]


def _capture(number: int) -> Capture:
    return Capture(
        CaptureId("line-1", "camera", 1_700_000_000_000, number), f"18bcfe56800-{number:06d}", 1 << 60, 1 << 60
    )
