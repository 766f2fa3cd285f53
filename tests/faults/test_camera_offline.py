"""A whole line, camera to gate, of whose two cameras one goes away and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from uuid import uuid4

import numpy as np
import pytest

from alerting.plc_sim.simulator import GateSimulator
from alerting.service import AlertingService
from alerting.signals.memory import MemoryGateSignals
from deploy.adapters import Adapters, adapters_for
from detector.service import DetectorService
from ingest.photo_eye.memory import MemoryPhotoEye
from ingest.service import IngestService
from ingest.sources.base import Shot
from shared.clock import NS_PER_S, SystemClock
from shared.domain import GateMode, NotInspected, Outcome
from shared.errors import LossCause, SourceUnavailableError
from shared.settings import from_dict
from tests.equipment import equipped
from tests.faults.test_messages import BrightnessModel, Line

CLOCK = SystemClock()
PARTS, PERIOD_S = 120, 0.05
AWAY = range(40, 80)
GOOD = np.full((48, 64, 3), 20, dtype=np.uint8)


class Conveyor:
    """A camera over a conveyor that has a part each 50 ms, from one start that all cameras share."""

    numbers_parts = True
    counts: Mapping[str, int] = MappingProxyType({})

    def __init__(self, start_ns: int, away: range) -> None:
        self._start_ns = start_ns
        self._away = away
        self._next = 1

    def _now(self) -> int:
        """Return which part lies under the camera."""
        return round((CLOCK.monotonic_ns() - self._start_ns) / NS_PER_S / PERIOD_S)

    async def open(self) -> None:
        """Answer, unless it is away; it then sees what lies there from now on."""
        if self._now() in self._away:
            raise SourceUnavailableError("no answer", cause=LossCause.UNREACHABLE)
        self._next = max(self._next, self._now() + 1)

    async def read(self) -> Shot | None:
        """Wait for the next part and show it."""
        if self._next in self._away:
            raise SourceUnavailableError("the cable was pulled", cause=LossCause.STALLED)
        if self._next > PARTS:
            return None
        at_ns = self._start_ns + round(self._next * PERIOD_S * NS_PER_S)
        await CLOCK.sleep((at_ns - CLOCK.monotonic_ns()) / NS_PER_S)
        number, self._next = self._next, self._next + 1
        return Shot(GOOD, CLOCK.utc_ns(), number)

    async def close(self) -> None:
        """Go."""


@asynccontextmanager
async def running(adapters: Adapters, line: Line) -> AsyncIterator[IngestService]:
    """Run detector and alerting around an ingest service that is still to be run."""
    settings, plan = line.settings, adapters.plan
    start_ns = CLOCK.monotonic_ns() + NS_PER_S // 2
    cameras = {"left": Conveyor(start_ns, AWAY), "right": Conveyor(start_ns, range(0))}
    bus, payloads = adapters.bus, adapters.payloads
    equipment = equipped(lambda camera: cameras[camera.name], photo_eye=lambda: MemoryPhotoEye(line.plc.photo_eye))
    ingest = IngestService(settings, plan=plan.plan, bus=bus, payloads=payloads, clock=CLOCK, equipment=equipment)
    detector = DetectorService(settings, plan=plan, bus=bus, payloads=payloads, clock=CLOCK, model=BrightnessModel())
    alerting = AlertingService(
        settings,
        plan=plan.plan,
        bus=bus,
        store=adapters.store,
        clock=CLOCK,
        signals=lambda _: MemoryGateSignals(line.plc),
    )
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(detector.run(stop))
        tasks.create_task(alerting.run(stop))
        yield ingest
        stop.set()


@pytest.mark.parametrize("urls", ["embedded", pytest.param("servers", marks=[pytest.mark.kafka, pytest.mark.redis])])
async def test_an_offline_camera_costs_its_own_parts_and_one_alert(urls: str, request: pytest.FixtureRequest) -> None:
    """The other camera goes on; what the lost one did not see is NOT_INSPECTED/camera_offline; all else passes."""
    run, real = f"offline-{uuid4().hex[:12]}", urls == "servers"
    bus = request.getfixturevalue("kafka_url") if real else "memory://"
    store = request.getfixturevalue("redis_url") if real else "memory://"
    settings = from_dict(
        {
            "bus": {"url": bus, "topic_prefix": run},
            "store": {"url": store, "key_prefix": run},
            "lines": [{"name": "line-1", "cameras": [{"name": "left"}, {"name": "right"}]}],
        }
    )
    async with adapters_for(settings, CLOCK) as adapters:
        line = Line(adapters.bus, settings, adapters.store, GateSimulator(GateMode.PASS_ASSERTED, CLOCK))
        async with running(adapters, line) as ingest:
            await ingest.run(asyncio.Event())
            await line.settled(PARTS)
        await line.check(PARTS)
        decisions = await adapters.store.decisions("line-1", newest=PARTS)
        alerts = await adapters.store.alerts("line-1", newest=100)
    defaulted = {
        int(decision.part_id.rpartition("-")[2]): {found.camera: found.reason for found in decision.findings}
        for decision in decisions
        if decision.outcome is Outcome.DEFAULT_REJECT
    }
    assert set(AWAY) <= defaulted.keys()
    # A camera is tried again after pauses: what passes until then is lost to it, too.
    assert max(defaulted) < max(AWAY) + 4 / PERIOD_S
    assert all(reasons == {"left": NotInspected.CAMERA_OFFLINE, "right": None} for reasons in defaulted.values())
    assert {decision.outcome for decision in decisions} == {Outcome.PASS, Outcome.DEFAULT_REJECT}
    assert [alert.kind for alert in reversed(alerts)] == ["CAMERA_OFFLINE", "CAMERA_ONLINE"]
