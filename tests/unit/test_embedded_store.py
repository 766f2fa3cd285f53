"""The embedded store shares its process's memory: what has expired must really go."""

from __future__ import annotations

import fakeredis

from shared.clock import SystemClock
from shared.domain import CaptureId, Outcome
from shared.store.redis import RedisStore, RedisStoreSettings
from tests.lines import LINE, announcement, decided

CLOCK = SystemClock()
PARTS = 50
DEADLINE_S = 10.0


async def test_expired_parts_and_pictures_are_freed_while_the_line_runs() -> None:
    """Keys that nobody touches again leave the memory once their time is over, as the line settles further parts."""
    server = fakeredis.FakeServer()
    kept = RedisStoreSettings(part_retention_s=1, picture_ttl_s=1)
    store = RedisStore(fakeredis.FakeAsyncRedis(server=server, protocol=2), kept, "memory", sweeps=True)
    for index in range(PARTS):
        await store.announce(announcement(f"old-{index}"))
        await store.put_picture(LINE, f"old-{index}", "camera", b"jpeg")
        await store.put_payload(CaptureId(LINE, f"old-{index}", 1, 1), b"pixels", ttl_s=1)
    held = server.dbs[0]._dict
    assert len(held) >= 3 * PARTS
    end_ns = CLOCK.monotonic_ns() + round(DEADLINE_S * 1e9)
    number = 0
    while any(b":old-" in key for key in held) and CLOCK.monotonic_ns() < end_ns:
        number += 1
        await store.announce(announcement(f"new-{number}"))
        await store.settle(decided(f"new-{number}", Outcome.PASS), latency_ms=1.0)
        await CLOCK.sleep(0.02)
    assert not [key for key in held if b":old-" in key]
    await store.close()
