"""GigE Vision cameras against Aravis' software camera: a real one on the network, but for its sensor."""

from __future__ import annotations

import asyncio
import itertools
import time
from pathlib import Path

import numpy as np
import pytest

from deploy.servers.gige import SoftwareCamera
from ingest.sources.base import Fault
from ingest.sources.gige.source import GigeSource
from shared.camera_settings import GigeSettings
from shared.domain import Picture
from shared.errors import ConfigError, LossCause, SourceUnavailableError
from tests.software_camera import opened, shot_of, source_of

pytestmark = [pytest.mark.gige, pytest.mark.usefixtures("aravis")]
NOTICE_S = 0.5


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
    # Of a frame whose first packet is lost, too, nobody knows the number before there was another one.
    first = next(index for index, shot in enumerate(shots) if shot.fault is None)
    numbers = [shot.trigger or 0 for shot in shots[first:]]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


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
