"""GigE Vision cameras against Aravis' software camera: a real one on the network, but for its sensor."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr

from deploy.camera_sources import make_source
from deploy.servers.gige import SoftwareCamera
from ingest.sources.base import Fault, Shot
from ingest.sources.gige.discovery import discover
from ingest.sources.gige.source import GigeSource
from shared.camera_settings import CameraSettings, GigeSettings
from shared.clock import SystemClock
from shared.domain import Picture
from shared.errors import ConfigError, LossCause, SourceUnavailableError

pytestmark = [pytest.mark.gige, pytest.mark.usefixtures("aravis")]
LOOPBACK = "127.0.0.1"
NOTICE_S = 0.5


@pytest.fixture(name="camera")
def fixture_camera(tmp_path: Path) -> Iterator[SoftwareCamera]:
    """Give a software camera that loses nothing."""
    with SoftwareCamera(tmp_path) as camera:
        yield camera


def source_of(source: str = f"gige://{LOOPBACK}", **features: object) -> GigeSource:
    """Return the source of a camera, fast unless told otherwise."""
    from ingest.sources.gige.aravis import AravisCamera  # noqa: PLC0415 - tests without Aravis are skipped

    settings = GigeSettings.model_validate({"frame_rate_hz": 50.0, **features})
    camera = CameraSettings(source=SecretStr(source), gige=settings)
    return GigeSource(camera, SystemClock(), AravisCamera, (LOOPBACK,))


@asynccontextmanager
async def opened(source: GigeSource) -> AsyncIterator[GigeSource]:
    """Open a source and close it, whatever happens."""
    await source.open()
    try:
        yield source
    finally:
        await source.close()


async def shot_of(source: GigeSource) -> Shot:
    """Return the next shot, which comes within two seconds."""
    shot = await asyncio.wait_for(source.read(), 2)
    assert shot is not None
    return shot


@pytest.mark.usefixtures("camera")
async def test_pictures_arrive_in_order_and_move() -> None:
    """Free run gives whole pictures without a gap over the wrap of 16-bit ids, and the camera's clock tells when."""
    async with opened(source_of(region_px=(0, 0, 320, 240), frame_rate_hz=200.0)) as source:
        shots = [await shot_of(source) for _ in range(300)]
    triggers = [shot.trigger for shot in shots]
    assert triggers == list(range(shots[0].trigger or 0, (shots[0].trigger or 0) + 300))
    assert max(shot.trigger or 0 for shot in shots) > 0xFFFF
    pictures = [shot.pixels for shot in shots if shot.pixels is not None]
    assert [picture.shape for picture in pictures] == [(240, 320)] * 300
    assert all((one != other).any() for one, other in itertools.pairwise(pictures))
    assert {shot.time_source for shot in shots} == {"camera"}
    times = [shot.captured_at_ns for shot in shots]
    assert times == sorted(times)
    assert source.counts["frames_completed"] >= 300
    assert source.counts["frames_missing"] == source.counts["frames_incomplete"] == 0


@pytest.mark.parametrize(
    ("pixel_format", "shape", "dtype"),
    [
        ("Mono8", (120, 160), np.uint8),
        ("Mono16", (120, 160), np.uint16),
        ("RGB8", (120, 160, 3), np.uint8),
        ("BayerRG8", (120, 160, 3), np.uint8),
        ("BayerBG8", (120, 160, 3), np.uint8),
    ],
)
@pytest.mark.usefixtures("camera")
async def test_pixel_formats(pixel_format: str, shape: tuple[int, ...], dtype: type) -> None:
    """Each pixel format that the camera has becomes a picture of its shape and depth."""
    async with opened(source_of(pixel_format=pixel_format, region_px=(8, 16, 160, 120))) as source:
        shot = await shot_of(source)
    assert shot.pixels is not None
    assert shot.pixels.shape == shape
    assert shot.pixels.dtype == dtype
    assert shot.pixels.max() > shot.pixels.min()


@pytest.mark.usefixtures("camera")
async def test_one_picture_for_each_software_trigger() -> None:
    """Fifty triggers give fifty pictures and not one more; the silence between them is no loss."""
    settings = GigeSettings(trigger="software", region_px=(0, 0, 320, 240))
    async with opened(source_of(**settings.model_dump())) as source:
        for index in range(50):
            await source.trigger()
            shot = await shot_of(source)
            assert shot.pixels is not None, index
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(source.read(), 0.7)
        await source.trigger()
        assert (await shot_of(source)).pixels is not None


@pytest.mark.usefixtures("camera")
async def test_only_software_triggers_can_be_given() -> None:
    """A camera in free run refuses to be triggered and says what to set."""
    async with opened(source_of()) as source:
        with pytest.raises(ConfigError, match='Set trigger = "software"'):
            await source.trigger()


async def test_lost_packets_never_make_a_good_picture(tmp_path: Path) -> None:
    """With 2 % of the packets lost frames are counted as incomplete, come without pixels, and no picture has a hole."""
    with SoftwareCamera(tmp_path, lost_per_thousand=20):
        async with opened(source_of(region_px=(0, 0, 320, 240), frame_rate_hz=100.0)) as source:
            shots = [await shot_of(source) for _ in range(100)]
            counts = source.counts
    broken = [shot for shot in shots if shot.fault is not None]
    assert {shot.fault for shot in broken} <= {Fault.INCOMPLETE, Fault.LOST}
    assert all(shot.pixels is None for shot in broken)
    assert 30 < len(broken) < 100
    assert counts["frames_incomplete"] > 0
    assert counts["packets_missing"] > 0
    for shot in shots:
        if shot.fault is None:
            assert shot.pixels is not None
            assert is_ramp(shot.pixels)
    numbers = [shot.trigger for shot in shots]
    assert numbers == list(range(numbers[0] or 0, (numbers[0] or 0) + 100))


def is_ramp(picture: Picture) -> bool:
    """Return whether each row is the one above it moved by one pixel, as the software camera draws."""
    return bool((picture[1:, :-1] == picture[:-1, 1:]).all())


async def test_a_killed_camera_is_noticed_and_comes_back(tmp_path: Path) -> None:
    """A camera that is killed is noticed within half a second and streams again after it was started, three times."""
    camera = SoftwareCamera(tmp_path)
    source = source_of(region_px=(0, 0, 320, 240))
    camera.start()
    try:
        await source.open()
        for _ in range(3):
            assert (await shot_of(source)).pixels is not None
            camera.kill9()
            noticed_s, cause = await loss_of(source)
            assert noticed_s < 1 / 50 + NOTICE_S
            assert cause is LossCause.UNREACHABLE
            await source.close()
            camera.start()
            await source.open()
        assert (await shot_of(source)).pixels is not None
    finally:
        await source.close()
        camera.stop()


@pytest.mark.parametrize("trigger", ["none", "software"])
async def test_a_silent_camera_is_noticed(camera: SoftwareCamera, trigger: str) -> None:
    """A camera that stands still is noticed within half a second, with triggers too, where silence is normal."""
    source = source_of(trigger=trigger)
    await source.open()
    if trigger == "software":
        await source.trigger()
    await shot_of(source)
    camera.freeze()
    noticed_s, cause = await loss_of(source)
    assert noticed_s < 1 / 50 + NOTICE_S
    assert cause is LossCause.UNREACHABLE
    camera.thaw()
    await source.close()


async def loss_of(source: GigeSource) -> tuple[float, LossCause]:
    """Return how many seconds it takes from now until the source tells that its camera is lost, and why."""
    since = time.monotonic()
    try:
        while True:
            await asyncio.wait_for(source.read(), 5)
    except SourceUnavailableError as error:
        return time.monotonic() - since, error.cause


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
    """After a refused feature, and after `open` was cancelled half-way, the next client opens at once."""
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
        assert time.monotonic() - since < 1


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
