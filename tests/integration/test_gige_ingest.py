"""A GigE Vision camera through the ingest service."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from deploy.camera_sources import make_source
from deploy.servers.gige import SoftwareCamera
from detector.decode import decode_frame
from ingest.service import IngestService
from shared.bus.memory import MemoryBus
from shared.clock import SystemClock
from shared.settings import from_dict
from shared.wire import FrameMessage, decode
from tests.equipment import equipped
from tests.lines import read_all, topics_for
from tests.outages import CuttableStore


@pytest.mark.gige
@pytest.mark.usefixtures("aravis")
async def test_a_cameras_pictures_reach_the_bus(tmp_path: Path) -> None:
    """Twenty pictures of a camera with 16 bits are sent as they are, and the camera is free afterwards."""
    camera = {
        "name": "top",
        "source": "gige://127.0.0.1",
        "limit": 20,
        "encoding": "png",
        "gige": {"pixel_format": "Mono16", "region_px": (0, 0, 160, 120), "frame_rate_hz": 50},
    }
    settings = from_dict({"lines": [{"name": "line-1", "gate_delay_ms": 1_500, "cameras": [camera]}]}, origin="test")
    clock = SystemClock()
    bus = MemoryBus(clock)
    service = IngestService(
        settings,
        plan=await topics_for(settings, bus),
        bus=bus,
        payloads=CuttableStore.embedded(),
        clock=clock,
        equipment=equipped(lambda one: make_source(one, clock)),
    )
    with SoftwareCamera(tmp_path):
        await asyncio.wait_for(service.run(asyncio.Event()), 20)
        messages = [decode(FrameMessage, record.value) for record in await read_all(bus, settings.topics.frames)]
        pictures = [decode_frame(message, payload) for message, payload in messages]
        assert [(picture.shape, str(picture.dtype)) for picture in pictures] == [((120, 160), "uint16")] * 20
        source = make_source(settings.lines[0].cameras[0], clock)
        await source.open()
        await source.close()
