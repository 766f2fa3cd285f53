"""What every place for the payloads of large frames keeps: Redis, this process, and shared memory."""

from __future__ import annotations

import os
import random
import shutil
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Protocol

import pytest

from shared.clock import NS_PER_S, SystemClock
from shared.domain import CaptureId
from shared.store.base import PayloadStore
from shared.store.shared_memory import MAPPED_FROM_BYTES, SharedMemoryPayloads
from tests.stores import LINE, Rig

CAPTURE = CaptureId(LINE, "top", 1, 1)


class Payloads(Protocol):
    """Two adapters as two processes have them, on the same payloads."""

    store: PayloadStore
    other: PayloadStore

    async def lives_s(self, capture: CaptureId) -> float:
        """Return how long a payload still lives."""
        ...

    async def end(self, capture: CaptureId) -> None:
        """Let its time be over."""
        ...

    async def close(self) -> None:
        """Remove everything."""
        ...


class InStore:
    """Redis, or the embedded store."""

    def __init__(self, url: str) -> None:
        self._rig = Rig(url)
        self.store: PayloadStore = self._rig.store
        self.other: PayloadStore = self._rig.other

    async def lives_s(self, capture: CaptureId) -> float:
        """Look inside."""
        return await self._rig.inside.ttl_s("payload", capture.camera, str(capture.epoch), str(capture.sequence))

    async def end(self, capture: CaptureId) -> None:
        """Let it go."""
        await self._rig.inside.forget("payload", capture.camera, str(capture.epoch), str(capture.sequence))

    async def close(self) -> None:
        """Remove the data."""
        await self._rig.close()


class InSharedMemory:
    """A folder of this test's own in the machine's shared memory."""

    def __init__(self) -> None:
        url = f"shm:///test-{uuid.uuid4().hex[:12]}?mib=64"
        self._store, other = (
            SharedMemoryPayloads.from_url(url, key_prefix="test", clock=SystemClock()) for _ in range(2)
        )
        self._store.prepare()
        self.store: PayloadStore = self._store
        self.other: PayloadStore = other

    async def lives_s(self, capture: CaptureId) -> float:
        """Read the file's end."""
        return (self._store._path(capture).stat().st_mtime_ns - SystemClock().utc_ns()) / NS_PER_S

    async def end(self, capture: CaptureId) -> None:
        """Set the file's end to now."""
        now_ns = SystemClock().utc_ns()
        os.utime(self._store._path(capture), ns=(now_ns, now_ns))

    async def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self._store.folder)


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis), "shared memory"])
async def payloads(request: pytest.FixtureRequest) -> AsyncIterator[Payloads]:
    """Give the adapter under test."""
    rig: Payloads
    if request.param == "shared memory":
        rig = InSharedMemory()
    else:
        rig = InStore("memory://" if request.param == "memory" else request.getfixturevalue("redis_url"))
    yield rig
    await rig.close()


@pytest.mark.parametrize("size_bytes", [0, 1, 2_500_000, MAPPED_FROM_BYTES])
async def test_a_payload_stays_when_it_is_read(payloads: Payloads, size_bytes: int) -> None:
    """Byte for byte, in every process, as often as its message comes again; the last one that was put counts."""
    payload = random.Random(0).randbytes(size_bytes)  # noqa: S311 - more than two pieces of some pixels
    await payloads.store.put_payload(CAPTURE, b"older", ttl_s=60)
    await payloads.store.put_payload(CAPTURE, payload, ttl_s=60)
    assert [await one.payload(CAPTURE) for one in (payloads.other, payloads.store, payloads.other)] == [payload] * 3


@pytest.mark.parametrize(
    "other",
    [
        replace(CAPTURE, line="packing"),
        replace(CAPTURE, camera="side"),
        replace(CAPTURE, camera="../top"),
        replace(CAPTURE, epoch=2),
        replace(CAPTURE, sequence=2),
    ],
)
async def test_a_payload_belongs_to_one_capture(payloads: Payloads, other: CaptureId) -> None:
    """Neither line, camera, epoch nor sequence may differ."""
    await payloads.store.put_payload(CAPTURE, b"pixels", ttl_s=60)
    assert await payloads.store.payload(other) is None


async def test_a_payload_goes_when_its_time_is_over(payloads: Payloads) -> None:
    """It lives as long as was said, begun anew when it is put again, and reading prolongs nothing."""
    await payloads.store.put_payload(CAPTURE, b"pixels", ttl_s=1_000)
    await payloads.store.put_payload(CAPTURE, b"pixels", ttl_s=7)
    await payloads.store.payload(CAPTURE)
    assert 0 < await payloads.lives_s(CAPTURE) <= 7
    await payloads.end(CAPTURE)
    assert await payloads.store.payload(CAPTURE) is None


async def test_what_a_reader_holds_stays_when_the_payload_goes(payloads: Payloads) -> None:
    """A large one may be a view of what lies there: it is whole as long as it is held."""
    payload = bytes(MAPPED_FROM_BYTES) + b"end"
    await payloads.store.put_payload(CAPTURE, payload, ttl_s=60)
    held = await payloads.other.payload(CAPTURE)
    await payloads.end(CAPTURE)
    await payloads.store.put_payload(replace(CAPTURE, sequence=2), b"next", ttl_s=60)
    await payloads.store.put_payload(CAPTURE, b"again", ttl_s=60)
    assert held == payload
