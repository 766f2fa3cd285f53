"""One side of the frames' way, as a process that works as fast as it can and says how long it took, as JSON.

python -m deploy.stream.frame_worker send|take KAFKA-URL TOPIC COUNT SIZE
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Final
from uuid import uuid4

from shared.bus.kafka import KafkaBus, KafkaBusSettings
from shared.domain import Capture, CaptureId
from shared.envelope import capture_headers
from shared.wire import Encoding, FrameMessage, decode, encode

PARTITIONS: Final = 8
"""As many cameras send."""
MAX_MESSAGE_BYTES: Final = 8 * 1024 * 1024
_AT_ONCE: Final = 32
_WARM_UP: Final = 50
_BATCH: Final = 8


async def send(bus: KafkaBus, topic: str, count: int, size: int) -> tuple[float, float]:
    """Publish frames as ingest does, so many on their way at once."""
    payload = bytes(size)
    gate = asyncio.Semaphore(_AT_ONCE)

    async def publish(sequence: int) -> None:
        async with gate:
            camera = sequence % PARTITIONS
            capture = Capture(CaptureId("line", f"camera-{camera}", 1, sequence), f"part-{sequence}", 0, 0)
            message = encode(FrameMessage(capture, Encoding.RAW, size, 1, 1), payload)
            headers = capture_headers(capture, "frame")
            await bus.publish(topic, message, key=None, partition=camera, headers=headers)

    await asyncio.gather(*(publish(sequence) for sequence in range(_WARM_UP)))
    return await _timed(lambda: asyncio.gather(*(publish(sequence) for sequence in range(count - _WARM_UP))))


async def take(bus: KafkaBus, topic: str, count: int, size: int) -> tuple[float, float]:
    """Poll and decode frames as a detector does, from the beginning."""
    subscription = await bus.subscribe([topic], group=f"take-{uuid4().hex}", member="take")
    taken = 0

    async def until(enough: int) -> None:
        nonlocal taken
        while taken < enough:
            for record in await subscription.poll(max_records=_BATCH, timeout_s=1):
                _, payload = decode(FrameMessage, record.value)
                if len(payload) != size:
                    raise AssertionError(f"a frame of {len(payload)} bytes came, {size} were sent")
                taken += 1

    await until(_WARM_UP)
    took = await _timed(lambda: until(count))
    await subscription.close()
    return took


async def _timed(work: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    wall, processor = time.perf_counter(), time.process_time()
    await work()
    return time.perf_counter() - wall, time.process_time() - processor


async def _main(side: str, url: str, topic: str, count: int, size: int) -> None:
    bus = KafkaBus(KafkaBusSettings.from_url(url, max_message_bytes=MAX_MESSAGE_BYTES))
    try:
        wall_s, processor_s = await (send if side == "send" else take)(bus, topic, count, size)
    finally:
        await bus.close()
    json.dump({"frames": count - _WARM_UP, "wall_s": wall_s, "processor_s": processor_s}, sys.stdout)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])))
