"""Broken, doubled and reordered messages on both buses: each part still ends in exactly one decision, as the gate's."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import numpy as np
import pytest

from alerting.plc_sim.simulator import GateSimulator
from alerting.service import AlertingService
from alerting.signals.memory import MemoryGateSignals
from detector.model.base import Inspection
from detector.runtime.lanes import Lanes
from detector.service import DetectorService
from ingest.encode import encode_pixels
from shared.bus.base import Bus, Record
from shared.bus.kafka import KafkaBus, KafkaBusSettings
from shared.bus.memory import MemoryBus
from shared.clock import SystemClock
from shared.domain import (
    AnomalyMap,
    Capture,
    CaptureId,
    Decision,
    Effort,
    GateMode,
    NotInspected,
    Outcome,
    PartAnnouncement,
    Picture,
    Verdict,
    VerdictStatus,
)
from shared.envelope import Headers, capture_headers
from shared.lifecycle import Service
from shared.plan_keeper import KnownPlan, PlanKeeper
from shared.settings import Settings, from_dict
from shared.store.base import Store
from shared.wire import DeadLetter, Encoding, FrameMessage, VerdictMessage, decode, encode
from tests.lines import topics_for
from tests.stores import embedded_store

CLOCK = SystemClock()
LINE = "line-1"
CAMERA = "camera"
BRIGHT = 200


class BrightnessModel:
    """Finds every bright picture defective: quick, and its answer is known."""

    model_id = "brightness"
    calibration_id = "fixed"
    profile = "test"
    region_level = 1.0
    efforts = (Effort.FULL,)
    lanes = Lanes()

    def at(self, _effort: Effort) -> BrightnessModel:
        """Look with all of it."""
        return self

    def raw_at(self, score: float) -> float | None:
        """Scores are what they are."""
        return score

    def inspect(self, pictures: Sequence[Picture]) -> list[Inspection]:
        """Score a picture by its mean."""
        scores = [9.0 if picture.mean() > BRIGHT else 0.1 for picture in pictures]
        empty = AnomalyMap(np.zeros((8, 8), dtype=np.float32))
        return [Inspection(score, score, empty, ()) for score in scores]


@dataclass
class Line:
    """Detector and alerting on one bus, with the gate at its end."""

    bus: Bus
    settings: Settings
    store: Store
    plc: GateSimulator
    sent: list[Capture] = field(default_factory=list)

    async def publish(self, topic: str, value: bytes, headers: Headers = ()) -> None:
        """Put bytes on a topic."""
        await self.bus.publish(topic, value, key=None, partition=0, headers=headers)

    def expose(self, part_id: str) -> Capture:
        """Let a part pass the photo-eye and the camera."""
        now_ns = CLOCK.utc_ns()
        (line,) = self.settings.lines
        self.plc.photo_eye(part_id, now_ns + line.gate_delay_ns)
        identity = CaptureId(LINE, CAMERA, 1, len(self.sent) + 1)
        capture = Capture(identity, part_id, now_ns, line.decide_by_ns(now_ns))
        self.sent.append(capture)
        return capture

    async def announce(self, capture: Capture) -> None:
        """Announce a part."""
        part = PartAnnouncement(LINE, capture.part_id, (CAMERA,), capture.captured_at_ns, capture.decide_by_ns)
        await self.publish(self.settings.topics.captures, encode(part))

    async def settled(self, parts: int) -> dict[str, Outcome]:
        """Wait until so many parts are settled and have reached the gate; return their outcomes."""
        async with asyncio.timeout(30):
            while (await self.store.counters(LINE)).settled < parts or self.plc.counters().on_belt:
                self.plc.tick()
                await CLOCK.sleep(0.02)
        return {found.part_id: found.outcome for found in await self.store.decisions(LINE, newest=1_000)}

    async def read(self, topic: str, expected: int) -> list[Record]:
        """Read a topic from its beginning: at least `expected` records, and whatever follows at once."""
        reader = await self.bus.subscribe([topic], group=f"reader-{uuid4().hex}", member="reader")
        found: list[Record] = []
        try:
            async with asyncio.timeout(20):
                while records := await reader.poll(max_records=500, timeout_s=0.5 if len(found) >= expected else 5):
                    found += records
        finally:
            await reader.close()
        return found

    async def check(self, parts: int) -> None:
        """Hold ledger, gate and audit record against each other: invariants 1, 2, 3 and 5."""
        counters, plc = await self.store.counters(LINE), self.plc.counters()
        assert counters.announced == counters.settled == plc.parts == parts
        assert (counters.passed, counters.rejected, counters.defaulted) == (plc.passed, plc.rejected, plc.defaulted)
        assert plc.mismatches == 0
        decided: dict[str, set[Outcome]] = {}
        for record in await self.read(self.settings.topics.decisions, parts):
            decision, _ = decode(Decision, record.value)
            decided.setdefault(decision.part_id, set()).add(decision.outcome)
        assert len(decided) == parts
        assert all(len(outcomes) == 1 for outcomes in decided.values())


def jpeg_frame(capture: Capture, level: int) -> tuple[FrameMessage, bytes]:
    """Return a grey-level picture as message and payload."""
    pixels = np.full((48, 64, 3), level, dtype=np.uint8)
    payload = encode_pixels(pixels, Encoding.JPEG, jpeg_quality=95)
    return FrameMessage(capture, Encoding.JPEG, 64, 48, 3), payload


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
async def line(request: pytest.FixtureRequest) -> AsyncIterator[Line]:
    """Run detector and alerting on the bus."""
    make: Callable[[], Bus]
    if request.param == "kafka":
        url = request.getfixturevalue("kafka_url")
        make = lambda: KafkaBus(KafkaBusSettings.from_url(url, max_message_bytes=2**23))  # noqa: E731
    else:
        make = lambda: MemoryBus(CLOCK)  # noqa: E731
    async with _running(make()) as line:
        yield line


@asynccontextmanager
async def _running(bus: Bus) -> AsyncIterator[Line]:
    settings = from_dict(
        {
            "bus": {"topic_prefix": f"faults-{uuid4().hex[:12]}"},
            "lines": [{"name": LINE, "cameras": [{"name": CAMERA}]}],
        }
    )
    store = embedded_store()
    plc = GateSimulator(GateMode.PASS_ASSERTED, CLOCK)
    plan = await topics_for(settings, bus)
    known = KnownPlan(plan, PlanKeeper(store, settings.topics), CLOCK)
    services: list[Service] = [
        DetectorService(settings, plan=known, bus=bus, payloads=store, clock=CLOCK, model=BrightnessModel()),
        AlertingService(
            settings, plan=plan, bus=bus, store=store, clock=CLOCK, signals=lambda _: MemoryGateSignals(plc)
        ),
    ]
    stop = asyncio.Event()
    # Plain tasks: a fixture's two halves run in different tasks, which a task group may not span.
    running = [asyncio.create_task(service.run(stop)) for service in services]
    try:
        yield Line(bus, settings, store, plc)
        stop.set()
        await asyncio.gather(*running)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    await bus.close()
    await store.close()


async def test_broken_messages_default_their_own_parts_alone(line: Line) -> None:
    """A cut JPEG, random bytes in place of frames and on other topics: dead letters, defaults, and neighbours go on."""
    topics = line.settings.topics
    noise = random.Random(4)  # noqa: S311 - a repeatable fault, no secret
    captures = {name: line.expose(name) for name in ("good", "cut", "poison", "nameless", "bright", "last")}
    for capture in captures.values():
        await line.announce(capture)
    await line.publish(topics.captures, noise.randbytes(200))
    await line.publish(topics.verdicts, noise.randbytes(200))

    message, payload = jpeg_frame(captures["good"], 20)
    await line.publish(topics.frames, encode(message, payload), capture_headers(captures["good"], "frame"))
    message, payload = jpeg_frame(captures["cut"], 20)
    await line.publish(topics.frames, encode(message, payload[:-40]), capture_headers(captures["cut"], "frame"))
    await line.publish(topics.frames, noise.randbytes(5_000), capture_headers(captures["poison"], "frame"))
    await line.publish(topics.frames, noise.randbytes(5_000))
    for name, level in (("bright", 250), ("last", 20)):
        message, payload = jpeg_frame(captures[name], level)
        await line.publish(topics.frames, encode(message, payload), capture_headers(captures[name], "frame"))

    outcomes = await line.settled(len(captures))
    assert outcomes == {
        "good": Outcome.PASS,
        "cut": Outcome.DEFAULT_REJECT,
        "poison": Outcome.DEFAULT_REJECT,
        "nameless": Outcome.DEFAULT_REJECT,
        "bright": Outcome.REJECT,
        "last": Outcome.PASS,
    }
    decisions = {found.part_id: found for found in await line.store.decisions(LINE, newest=10)}
    reasons = {name: decisions[name].findings[0].reason for name in ("cut", "poison", "nameless")}
    assert reasons == {
        "cut": NotInspected.BAD_IMAGE,
        "poison": NotInspected.POISON,
        "nameless": NotInspected.NO_VERDICT,
    }
    letters = [decode(DeadLetter, record.value)[0] for record in await line.read(topics.dead_letters, 5)]
    assert sorted(letter.topic for letter in letters) == sorted(
        [topics.captures, topics.verdicts, topics.frames, topics.frames, topics.frames]
    )
    await line.check(len(captures))


async def test_doubled_and_reordered_messages_change_nothing(line: Line) -> None:
    """Every message comes three times and in a shuffled order: one decision for each part, built from its verdict."""
    topics = line.settings.topics
    order = random.Random(5)  # noqa: S311
    captures = [line.expose(f"part-{index:02d}") for index in range(20)]
    bright = {capture.part_id for capture in captures[::5]}
    messages: list[tuple[str, bytes, Headers]] = []
    for capture in captures:
        part = PartAnnouncement(LINE, capture.part_id, (CAMERA,), capture.captured_at_ns, capture.decide_by_ns)
        messages.append((topics.captures, encode(part), ()))
        message, payload = jpeg_frame(capture, 250 if capture.part_id in bright else 20)
        messages.append((topics.frames, encode(message, payload), capture_headers(capture, "frame")))
    messages *= 3
    order.shuffle(messages)
    for topic, value, headers in messages:
        await line.publish(topic, value, headers)

    outcomes = await line.settled(len(captures))
    assert {part for part, outcome in outcomes.items() if outcome is Outcome.REJECT} == bright
    assert {part for part, outcome in outcomes.items() if outcome is Outcome.PASS} == outcomes.keys() - bright
    await line.check(len(captures))


async def test_a_verdict_after_the_default_is_late_and_changes_nothing(line: Line) -> None:
    """A decision never changes once it is signalled; the verdict that came too late is counted."""
    capture = line.expose("slow")
    await line.announce(capture)
    assert await line.settled(1) == {"slow": Outcome.DEFAULT_REJECT}

    verdict = Verdict(capture, VerdictStatus.INSPECTED, raw_score=0.1, score=0.1)
    await line.publish(line.settings.topics.verdicts, encode(VerdictMessage(verdict)))
    async with asyncio.timeout(10):
        while not (await line.store.counters(LINE)).late_verdicts:
            await CLOCK.sleep(0.02)
    await line.check(1)
