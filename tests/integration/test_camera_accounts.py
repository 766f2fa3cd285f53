"""Real cameras with every fault at once, into a bus that comes and goes: captured = published + counted."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY

from deploy.camera_sources import make_source
from deploy.servers.gige import SoftwareCamera
from deploy.servers.rtsp import RtspServer, Served
from ingest.preparation import Preparation
from ingest.quality.gate import QualityGate
from ingest.quality.limits import learn_limits
from ingest.quality.look import Look, look_at
from ingest.service import IngestService
from shared.bus.memory import MemoryBus
from shared.camera_settings import CameraSettings
from shared.clock import SystemClock
from shared.domain import CameraReport, CameraState, PartAnnouncement
from shared.settings import from_dict
from shared.wire import FrameMessage, decode, kind_of
from tests.equipment import equipped
from tests.lines import read_all, topics_for
from tests.outages import CuttableBus, CuttableStore

pytestmark = [
    pytest.mark.gige,
    pytest.mark.rtsp,
    pytest.mark.usefixtures("aravis", "rtsp"),
]
CLOCK: Final = SystemClock()
_SETTLE_S: Final = 3.0


def counted(name: str, line: str) -> Counter[str]:
    """Return what a metric counted of a line's camera, by its last label."""
    found: Counter[str] = Counter()
    for sample in (sample for metric in REGISTRY.collect() for sample in metric.samples):
        if sample.name == f"linewarden_{name}_total" and sample.labels.get("line") == line:
            kinds = [sample.labels[label] for label in ("reason", "cause") if label in sample.labels]
            found[next(iter(kinds), "")] += int(sample.value)
    return found


async def learnt(camera: CameraSettings) -> QualityGate:
    """Learn what the camera's pictures look like."""
    source = make_source(camera, CLOCK)
    looks: list[Look] = []
    await source.open()
    while len(looks) < 12:
        shot = await source.read()
        assert shot is not None
        if shot.pixels is not None:
            looks.append(look_at(shot.pixels))
    await source.close()
    return QualityGate(learn_limits(looks))


async def test_every_exposure_is_published_or_counted(tmp_path: Path) -> None:
    """A fast GigE camera on a lossy network and a stream, both killed and restarted, and an outage of the bus.

    Every exposure has its announcement, and its frame or its reason.
    """
    gige, stream = f"gige-{uuid4().hex[:8]}", f"rtsp-{uuid4().hex[:8]}"
    with (
        SoftwareCamera(tmp_path / "gige", lost_per_thousand=8) as camera,
        RtspServer(320, 240, 25, served=Served(cameras=1)) as server,
    ):
        settings = from_dict(
            {
                "lines": [
                    {
                        "name": gige,
                        "cameras": [
                            {
                                "source": camera.url,
                                "max_rate_hz": 40,
                                "gige": {"frame_rate_hz": 50, "region_px": [0, 0, 320, 240]},
                            }
                        ],
                    },
                    {"name": stream, "cameras": [{"source": server.url, "stall_ms": 500}]},
                ]
            }
        )
        gate = await learnt(settings.lines[1].cameras[0])
        bus = CuttableBus(MemoryBus(CLOCK))
        service = IngestService(
            settings,
            plan=await topics_for(settings, bus),
            bus=bus,
            payloads=CuttableStore.embedded(),
            clock=CLOCK,
            equipment=equipped(
                lambda one: make_source(one, CLOCK),
                preparation=lambda one: Preparation(
                    quality=gate if one.source.get_secret_value() == server.url else None
                ),
            ),
        )
        stop = asyncio.Event()
        serving = asyncio.create_task(service.run(stop))
        await CLOCK.sleep(_SETTLE_S)
        server.kill9()
        camera.kill9()
        await CLOCK.sleep(_SETTLE_S)
        camera.start()
        server.start()
        await CLOCK.sleep(_SETTLE_S)
        bus.away = True
        await CLOCK.sleep(2)
        bus.away = False
        await CLOCK.sleep(_SETTLE_S)
        stop.set()
        await serving

    records = await read_all(bus, settings.topics.frames)
    frames = Counter(decode(FrameMessage, record.value)[0].capture.id.line for record in records)
    said = await read_all(bus, settings.topics.captures)
    parts = [decode(PartAnnouncement, one.value)[0] for one in said if kind_of(one.value) is PartAnnouncement]
    reports = [decode(CameraReport, one.value)[0] for one in said if kind_of(one.value) is CameraReport]
    for line in (gige, stream):
        captured = counted("captures", line)[""]
        published = counted("frames_published", line)[""]
        dropped = counted("frames_dropped", line)
        assert captured == published + dropped.total(), (captured, published, dropped)
        assert published == frames[line] > 50
        assert len({part.part_id for part in parts if part.line == line}) == captured
        states = [report.state for report in reports if report.line == line]
        # One outage, told again where its cause changed: ended, then unreachable.
        assert states.count(CameraState.OFFLINE) in {1, 2}
        assert states[-1] is not CameraState.OFFLINE
        assert counted("camera_losses", line).total() == states.count(CameraState.OFFLINE)
    assert counted("frames_dropped", gige)["incomplete"] > 0
    assert counted("frames_dropped", gige)["more frames than max_rate_hz"] > 0
