"""A camera of three partitions, a quick and a slow replica, and alerting: records in capture order on each bus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import numpy as np
import pytest

from alerting.plc_sim.simulator import GateSimulator
from alerting.service import AlertingService
from alerting.signals.memory import MemoryGateSignals
from deploy.stream.replica import FixedCostModel
from detector.service import DetectorService
from ingest.encode import encode_pixels
from shared.bus.base import Bus, Subscription
from shared.bus.kafka import KafkaBus, KafkaBusSettings
from shared.bus.memory import MemoryBus
from shared.clock import SystemClock
from shared.domain import Capture, CaptureId, Decision, GateMode, Outcome, PartAnnouncement
from shared.envelope import capture_headers
from shared.lifecycle import Service
from shared.plan_keeper import KnownPlan, PlanKeeper
from shared.settings import Settings, from_dict
from shared.wire import Encoding, FrameMessage, VerdictMessage, decode, encode
from tests.lines import CAMERA, LINE, topics_for
from tests.stores import embedded_store

CLOCK = SystemClock()
COSTS_MS = {"quick": 1.0, "slow": 60.0}
ROUND = 9
SILENT = 4
"""Which part of a round is announced, and has no frame."""
_GREY = encode_pixels(np.full((32, 32), 128, np.uint8), Encoding.JPEG, jpeg_quality=90)


class FastCamera:
    """Publishes parts as ingest would, and reads what the services say of them."""

    def __init__(self, bus: Bus, settings: Settings, plc: GateSimulator, ears: Subscription) -> None:
        self._bus = bus
        self._settings = settings
        self._plc = plc
        self._ears = ears
        self.captured: list[str] = []
        self.silent: set[str] = set()
        self.verdicts: list[tuple[str, str]] = []
        self.decisions: list[Decision] = []

    async def expose(self, partition: int, *, silent: bool) -> None:
        """Announce a part, and send its frame to one of the camera's partitions unless it is to be `silent`."""
        (line,) = self._settings.lines
        now_ns, number = CLOCK.utc_ns(), len(self.captured)
        part_id = f"part-{number:04}"
        capture = Capture(CaptureId(LINE, CAMERA, 1, number), part_id, now_ns, line.decide_by_ns(now_ns))
        self.captured.append(part_id)
        self._plc.photo_eye(part_id, now_ns + line.gate_delay_ns)
        part = PartAnnouncement(LINE, part_id, (CAMERA,), now_ns, capture.decide_by_ns)
        await self._bus.publish(self._settings.topics.captures, encode(part), key=None, partition=0)
        if silent:
            self.silent.add(part_id)
            return
        message = FrameMessage(capture, Encoding.JPEG, 32, 32, 1)
        await self._bus.publish(
            self._settings.topics.frames,
            encode(message, _GREY),
            key=None,
            partition=partition,
            headers=capture_headers(capture, "frame"),
        )

    async def settled(self) -> None:
        """Hear verdicts and decisions until each part has its decision."""
        async with asyncio.timeout(30):
            while len(self.decisions) < len(self.captured):
                for record in await self._ears.poll(max_records=500, timeout_s=0.05):
                    if record.topic == self._settings.topics.decisions:
                        self.decisions.append(decode(Decision, record.value)[0])
                    else:
                        verdict = decode(VerdictMessage, record.value)[0].verdict
                        self.verdicts.append((verdict.capture.part_id, verdict.model_id))


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
async def camera(request: pytest.FixtureRequest) -> AsyncIterator[FastCamera]:
    """Run two replicas and alerting on the bus."""
    bus: Bus = MemoryBus(CLOCK)
    if request.param == "kafka":
        url = request.getfixturevalue("kafka_url")
        bus = KafkaBus(KafkaBusSettings.from_url(url, max_message_bytes=2**23))
    async with _running(bus) as camera:
        yield camera


def _settings(prefix: str, member: str) -> Settings:
    camera = {"name": CAMERA, "partitions": 3}
    return from_dict(
        {
            "bus": {"topic_prefix": prefix},
            "detector": {"member": member},
            "lines": [{"name": LINE, "gate_delay_ms": 2_200, "actuation_lead_ms": 200, "cameras": [camera]}],
        }
    )


@asynccontextmanager
async def _running(bus: Bus) -> AsyncIterator[FastCamera]:
    prefix = f"order-{uuid4().hex[:12]}"
    settings = _settings(prefix, "quick")
    store = embedded_store()
    plc = GateSimulator(GateMode.PASS_ASSERTED, CLOCK)
    plan = await topics_for(settings, bus)
    known = KnownPlan(plan, PlanKeeper(store, settings.topics), CLOCK)
    services: list[Service] = [
        DetectorService(
            _settings(prefix, name),
            plan=known,
            bus=bus,
            payloads=store,
            clock=CLOCK,
            model=FixedCostModel(name, cost_ms),
        )
        for name, cost_ms in COSTS_MS.items()
    ]
    services.append(
        AlertingService(
            settings, plan=plan, bus=bus, store=store, clock=CLOCK, signals=lambda _: MemoryGateSignals(plc)
        )
    )
    topics = [settings.topics.verdicts, settings.topics.decisions]
    ears = await bus.subscribe(topics, group=f"{prefix}-ears", member="ears")
    stop = asyncio.Event()
    # Plain tasks: a fixture's two halves run in different tasks, which a task group may not span.
    running = [asyncio.create_task(service.run(stop)) for service in services]
    try:
        yield FastCamera(bus, settings, plc, ears)
        stop.set()
        await asyncio.gather(*running)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    await ears.close()
    await bus.close()
    await store.close()


async def test_decisions_stand_in_capture_order_and_no_signal_waits(camera: FastCamera) -> None:
    """Verdicts overtake one another and one part never gets any; records keep the order, signals do not wait for it."""
    heard: list[tuple[str, str]] = []
    async with asyncio.timeout(90):
        # The first rounds may find one replica that has not joined yet.
        while {replica for _, replica in heard} != COSTS_MS.keys() or heard == sorted(heard):
            already = len(camera.verdicts)
            for index in range(ROUND):
                await camera.expose(index % 3, silent=index == SILENT)
            await camera.settled()
            heard = camera.verdicts[already:]
    assert [decision.part_id for decision in camera.decisions] == camera.captured
    last = camera.decisions[-ROUND:]
    silent = last[SILENT]
    assert silent.outcome is Outcome.DEFAULT_REJECT
    for decision in last[SILENT + 1 :]:
        assert decision.outcome is Outcome.PASS
        assert decision.stamps_ns["signalled"] < silent.decided_at_ns
