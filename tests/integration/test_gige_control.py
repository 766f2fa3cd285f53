"""Who has a GigE Vision camera, what it takes and refuses, and which there are, against Aravis' software camera."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from deploy.camera_sources import make_source
from deploy.servers.gige import SoftwareCamera
from ingest.sources.gige.discovery import discover
from ingest.sources.gige.source import GigeSource
from shared.camera_settings import CameraSettings
from shared.clock import SystemClock
from shared.errors import ConfigError, LossCause, SourceUnavailableError
from tests.software_camera import LOOPBACK, opened, shot_of, source_of

pytestmark = [pytest.mark.gige, pytest.mark.usefixtures("aravis")]


@pytest.mark.usefixtures("camera")
async def test_a_held_camera_is_told_as_such_and_is_free_after_close() -> None:
    """While one client has control the next is refused at once and told why; after `close` it opens at once."""
    first, second = source_of(), source_of()
    async with opened(first):
        since = time.monotonic()
        with pytest.raises(SourceUnavailableError, match="controlled by another client") as caught:
            await second.open()
        assert caught.value.cause is LossCause.HELD
        assert time.monotonic() - since < 1
        assert [camera.held for camera in await asyncio.to_thread(discover, (LOOPBACK,), 0.1)] == [True]
    since = time.monotonic()
    async with opened(second):
        assert time.monotonic() - since < 1
        assert (await shot_of(second)).pixels is not None


@pytest.mark.usefixtures("camera")
async def test_control_is_left_on_failure_and_on_cancellation() -> None:
    """After a refused feature, and after `open` was cancelled half-way, the next client opens at once.

    Control that was not left would be missed each time, for a heartbeat of seconds; a camera may stall once.
    """
    took_s = []
    for _ in range(3):
        with pytest.raises(ConfigError):
            await source_of(pixel_format="Mono10p").open()
        opening = asyncio.create_task((half_open := source_of()).open())
        await asyncio.sleep(0.005)
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        await half_open.close()
        since = time.monotonic()
        async with opened(source_of()) as source:
            assert (await shot_of(source)).pixels is not None
        took_s.append(time.monotonic() - since)
    assert sorted(took_s)[1] < 1


@pytest.mark.parametrize(
    ("features", "told"),
    [
        ({"pixel_format": "Mono10p"}, r"PixelFormat = 'Mono10p'.* It takes .*Mono8.*Mono16"),
        ({"exposure_us": 1e12}, r"ExposureTimeAbs = 1000000000000\.0.* It takes 10 to 1e\+07 now"),
        ({"region_px": (0, 0, 9_999, 100)}, r"Width = 9999.* It takes 1 to 2048 now"),
        ({"trigger": "Line7"}, r"TriggerSource = 'Line7'.* It takes Line0, Software"),
        ({"features": {"Sharpness": 3}}, "no feature 'Sharpness'"),
        ({"features": {"Width": "wide"}}, "Width = 'wide'.*whole number.*1 to 2048"),
        ({"gain_db": 2.0}, "units of its own only. Set GainRaw"),
        ({"chunks": ("FrameCounter",)}, "no feature 'ChunkModeActive'"),
        ({"packet_size_bytes": 16_384, "features": {"GainRaw": 99}}, "GainRaw = 99.*It takes 0 to 10"),
    ],
)
@pytest.mark.usefixtures("camera")
async def test_refused_features_are_named(features: dict[str, Any], told: str) -> None:
    """A feature that the camera refuses is told with its value and with what the camera takes."""
    with pytest.raises(ConfigError, match=told):
        await source_of(**features).open()


@pytest.mark.usefixtures("camera")
async def test_cameras_by_name() -> None:
    """A camera is found by serial number, device id, or as the only one; for an unknown one those there are told."""
    for selector in ("LW01", "Aravis-LW01", ""):
        async with opened(source_of(f"gige://{selector}")) as source:
            assert (await shot_of(source)).pixels is not None
    with pytest.raises(SourceUnavailableError, match=r"camera 'LW02' answers. These do: Aravis Fake LW01 at 127") as e:
        await source_of("gige://LW02").open()
    assert e.value.cause is LossCause.UNREACHABLE


async def test_no_camera_there() -> None:
    """An address where nobody answers is told within a second, and the event loop goes on meanwhile."""
    opening = asyncio.create_task(source_of().open())
    turns = 0
    while not opening.done():
        await asyncio.sleep(0.001)
        turns += 1
    with pytest.raises(SourceUnavailableError, match="does not answer"):
        await opening
    assert turns < 1_000


def test_discovery_tells_what_is_there(camera: SoftwareCamera) -> None:
    """The listing tells vendor, model, serial number and address of each camera, and that it is free."""
    (found,) = discover((LOOPBACK,), 0.2)
    assert (found.vendor, found.model, found.serial, found.address) == ("Aravis", "Fake", camera.serial, LOOPBACK)
    assert (found.user_name, found.reachable, found.held) == ("", True, False)


@pytest.mark.usefixtures("camera")
async def test_cycles_leak_nothing() -> None:
    """Twenty times open, read, close leave no descriptors and no threads behind."""
    before = None
    for _ in range(20):
        async with opened(source_of()) as source:
            assert (await shot_of(source)).pixels is not None
        before = before or resources()
    assert before is not None
    descriptors, threads = resources()
    # One that is just ending is still there; a leak would be one each time.
    assert descriptors < before[0] + 3
    assert threads < before[1] + 3


def resources() -> tuple[int, int]:
    """Return how many descriptors and threads this process has, those of libraries included."""
    for thread in threading.enumerate():
        if thread.name == "gige":
            thread.join()
    here = Path("/proc/self")
    return len(list((here / "fd").iterdir())), len(list((here / "task").iterdir()))


@pytest.mark.usefixtures("camera")
async def test_the_role_makes_it() -> None:
    """The ingest role makes the source for gige://."""
    source = make_source(CameraSettings(source=SecretStr(f"gige://{LOOPBACK}")), SystemClock())
    assert isinstance(source, GigeSource)
    async with opened(source):
        assert (await shot_of(source)).pixels is not None
