"""Large frames by reference, on embedded and on real servers: the same outcomes, and fail-safe when one is lost."""

from __future__ import annotations

import asyncio
import math
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from uuid import uuid4

import numpy as np
import pytest
from numpy.typing import NDArray

from alerting.plc_sim.simulator import GateSimulator
from alerting.service import AlertingService
from alerting.signals.memory import MemoryGateSignals
from deploy.adapters import adapters_for
from detector.service import DetectorService
from ingest.photo_eye.memory import MemoryPhotoEye
from ingest.service import IngestService
from ingest.sources.base import Shot
from shared.clock import SystemClock
from shared.domain import CameraFinding, CaptureId, Decision, GateMode, NotInspected, Outcome
from shared.settings import Settings, from_dict
from shared.store.base import Store
from shared.store.memory import MemoryStore
from shared.store.redis import RedisStore
from shared.store.shared_memory import SHARED_MEMORY
from shared.wire import Encoding, FrameMessage, decode
from tests.equipment import equipped
from tests.faults.test_messages import BrightnessModel, Line

CLOCK = SystemClock()
LARGE, SMALL = (300, 400, 3), (48, 64, 3)
DARK, BRIGHT = 20, 250
Pixels = NDArray[np.uint8]
Meddle = Callable[[Store, dict[int, CaptureId]], Awaitable[None]]


class Album:
    """A camera that shows some pictures, numbered from 1."""

    numbers_parts = True
    counts: Mapping[str, int] = MappingProxyType({})

    def __init__(self, pictures: Sequence[Pixels]) -> None:
        self._left = list(enumerate(pictures, 1))

    async def open(self) -> None:
        """Be there."""

    async def read(self) -> Shot | None:
        """Show the next."""
        if not self._left:
            return None
        number, pixels = self._left.pop(0)
        return Shot(pixels, CLOCK.utc_ns(), number)

    async def close(self) -> None:
        """Go."""


def picture(shape: tuple[int, int, int], level: int) -> Pixels:
    """Return pixels of one brightness."""
    return np.full(shape, level, dtype=np.uint8)


ALBUM = [
    picture(LARGE, DARK),
    picture(LARGE, BRIGHT),
    picture(SMALL, DARK),
    picture(SMALL, BRIGHT),
    picture(LARGE, DARK),
]


async def leave_alone(_store: Store, _captures: dict[int, CaptureId]) -> None:
    """Do nothing."""


async def lose_one_and_change_one(store: Store, captures: dict[int, CaptureId]) -> None:
    """Remove the payload of the first part, as an eviction would, and change one byte of the fifth's."""
    if isinstance(store, RedisStore):
        assert await store._client.delete(store._payload(captures[1])) == 1
        await store._client.setrange(store._payload(captures[5]), 1_000, b"\xff")
        return
    assert isinstance(store, MemoryStore)
    assert store.data.payloads.pop(captures[1]) is not None
    pixels = bytearray(await store.payload(captures[5]) or b"")
    pixels[1_000] = 0xFF
    store.data.payloads.put(captures[5], bytes(pixels), 60)


def number_of(part_id: str) -> int:
    """Return which picture a part was."""
    return int(part_id.rpartition("-")[2])


class Works:
    """What a line is run on, and how."""

    def __init__(self, bus_url: str, store_url: str, payload_url: str | None = None) -> None:
        self._bus_url = bus_url
        self._store_url = store_url
        self._payload_url = payload_url

    def settings(self, claim_check_kib: int | None) -> Settings:
        """Return a line of its own."""
        run = f"large-{uuid4().hex[:12]}"
        camera = {"name": "camera", "encoding": Encoding.RAW}
        return from_dict(
            {
                "bus": {"url": self._bus_url, "topic_prefix": run, "claim_check_kib": claim_check_kib},
                "store": {"url": self._store_url, "key_prefix": run, "payload_url": self._payload_url},
                "lines": [{"name": "line-1", "gate_delay_ms": 5_000, "cameras": [camera]}],
            }
        )

    async def run(
        self, *, claim_check_kib: int | None, meddle: Meddle = leave_alone
    ) -> tuple[dict[int, Decision], list[bool]]:
        """Let the album pass; return each picture's decision, and of each frame whether it went by reference.

        The detector starts once all frames are sent, and `meddle` had its turn.
        """
        settings = self.settings(claim_check_kib)
        plc = GateSimulator(GateMode.PASS_ASSERTED, CLOCK)
        async with adapters_for(settings, CLOCK) as adapters:
            line = Line(adapters.bus, settings, adapters.store, plc)
            ingest = IngestService(
                settings,
                plan=adapters.plan.plan,
                bus=adapters.bus,
                payloads=adapters.payloads,
                clock=CLOCK,
                equipment=equipped(lambda _: Album(ALBUM), photo_eye=lambda: MemoryPhotoEye(plc.photo_eye)),
            )
            detector = DetectorService(
                settings,
                plan=adapters.plan,
                bus=adapters.bus,
                payloads=adapters.payloads,
                clock=CLOCK,
                model=BrightnessModel(),
            )
            alerting = AlertingService(
                settings,
                plan=adapters.plan.plan,
                bus=adapters.bus,
                store=adapters.store,
                clock=CLOCK,
                signals=lambda _: MemoryGateSignals(plc),
            )
            stop = asyncio.Event()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(alerting.run(stop))
                await ingest.run(stop)
                messages = [
                    decode(FrameMessage, record.value)[0]
                    for record in await line.read(settings.topics.frames, len(ALBUM))
                ]
                await meddle(
                    adapters.store,
                    {number_of(message.capture.part_id): message.capture.id for message in messages},
                )
                tasks.create_task(detector.run(stop))
                await line.settled(len(ALBUM))
                stop.set()
            await line.check(len(ALBUM))
            decisions = await adapters.store.decisions("line-1", newest=100)
            return (
                {number_of(decision.part_id): decision for decision in decisions},
                [message.reference is not None for message in messages],
            )


@pytest.fixture(params=["embedded", pytest.param("servers", marks=[pytest.mark.kafka, pytest.mark.redis])])
def works(request: pytest.FixtureRequest) -> Works:
    """Give the servers."""
    if request.param == "embedded":
        return Works("memory://", "memory://")
    return Works(request.getfixturevalue("kafka_url"), request.getfixturevalue("redis_url"))


def finding(decision: Decision) -> CameraFinding:
    """Return what a decision rests on."""
    (only,) = decision.findings
    return only


async def test_a_line_decides_alike_with_and_without_references(works: Works) -> None:
    """The same outcome and the same score for each picture; large ones went by reference, small ones whole."""
    without, by_reference = await works.run(claim_check_kib=None)
    assert not any(by_reference)
    claimed, by_reference = await works.run(claim_check_kib=64)
    assert sorted(by_reference) == [False, False, True, True, True]
    assert {number: decision.outcome for number, decision in claimed.items()} == {
        1: Outcome.PASS,
        2: Outcome.REJECT,
        3: Outcome.PASS,
        4: Outcome.REJECT,
        5: Outcome.PASS,
    }
    assert all(finding(claimed[number]).score == finding(decision).score for number, decision in without.items())
    assert all(claimed[number].outcome is decision.outcome for number, decision in without.items())


async def test_a_line_hands_its_frames_over_in_shared_memory() -> None:
    """Large ones lie there, and every picture is decided as what it is."""
    name = f"test-{uuid4().hex[:12]}"
    folder = SHARED_MEMORY / f"linewarden-{name}"
    try:
        works = Works("memory://", "memory://", f"shm:///{name}?mib=8")
        decisions, by_reference = await works.run(claim_check_kib=64)
        left = sorted(path.stat().st_size for path in folder.iterdir() if path.name != ".held")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    assert sorted(by_reference) == [False, False, True, True, True]
    assert left == [math.prod(LARGE)] * 3
    outcomes = [decisions[number].outcome for number in range(1, 6)]
    assert outcomes == [Outcome.PASS, Outcome.REJECT, Outcome.PASS, Outcome.REJECT, Outcome.PASS]


async def test_payloads_lost_or_changed_in_the_store_default_their_own_parts_alone(works: Works) -> None:
    """A part whose pixels nobody has, or not as they were, never passes; its neighbours do."""
    decisions, _ = await works.run(claim_check_kib=64, meddle=lose_one_and_change_one)
    assert {number: decision.outcome for number, decision in decisions.items()} == {
        1: Outcome.DEFAULT_REJECT,
        2: Outcome.REJECT,
        3: Outcome.PASS,
        4: Outcome.REJECT,
        5: Outcome.DEFAULT_REJECT,
    }
    assert {finding(decisions[number]).reason for number in (1, 5)} == {NotInspected.BAD_IMAGE}
