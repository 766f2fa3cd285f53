"""What every source keeps, run on each adapter.

A new adapter joins by a function that makes it, in `MAKERS`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

from deploy.servers.rtsp import RtspServer, Served
from ingest.rendering.conveyor import ConveyorSettings
from ingest.slate import Slate, draw_slate
from ingest.sources.base import Shot, Source
from ingest.sources.folder import FolderSource
from ingest.sources.rendered import RenderedSource
from ingest.sources.video.file import VideoFileSource
from ingest.sources.video.rtsp import RtspSource
from shared.camera_settings import RtspSettings
from shared.clock import NS_PER_S, SystemClock
from tests.videos import encoded

Made = AbstractAsyncContextManager[Source]
LIMIT = 4
_CLOCK_SLACK_NS = 10 * NS_PER_S


@asynccontextmanager
async def rendered(_folder: Path) -> AsyncIterator[Source]:
    """Make the rendered conveyor."""
    yield RenderedSource(ConveyorSettings(), rate_hz=1_000, limit=LIMIT, clock=SystemClock())


@asynccontextmanager
async def folder(folder: Path) -> AsyncIterator[Source]:
    """Make a folder of pictures."""
    for index in range(LIMIT + 2):
        cv2.imwrite(str(folder / f"{index}.png"), np.full((32, 32, 3), index, np.uint8))
    yield FolderSource(folder, rate_hz=1_000, limit=LIMIT, seed=0, clock=SystemClock())


@asynccontextmanager
async def video_file(folder: Path) -> AsyncIterator[Source]:
    """Make a video file with slates."""
    plate = np.full((80, 128, 3), 90, np.uint8)
    slated = [draw_slate(plate, Slate(number + 1, defect=False)) for number in range(LIMIT + 2)]
    (folder / "parts.h264").write_bytes(b"".join(encoded(slated)))
    yield VideoFileSource(str(folder / "parts.h264"), rate_hz=1_000, limit=LIMIT, slate=True, clock=SystemClock())


@asynccontextmanager
async def rtsp_camera(_folder: Path) -> AsyncIterator[Source]:
    """Make a real RTSP camera."""
    with RtspServer(128, 96, 25, served=Served(cameras=1)) as server:
        yield RtspSource(
            server.url,
            settings=RtspSettings(),
            limit=LIMIT,
            slate=False,
            stall_ms=1_500,
            trusts="auto",
            clock=SystemClock(),
        )


MAKERS: dict[str, Callable[[Path], Made]] = {
    "rendered": rendered,
    "folder": folder,
    "video file": video_file,
    "rtsp": rtsp_camera,
}


@pytest.fixture(
    params=[pytest.param(make, id=name, marks=[pytest.mark.rtsp] * (name == "rtsp")) for name, make in MAKERS.items()]
)
async def source(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Source]:
    """Give each source that ends after `LIMIT` exposures."""
    if request.param is rtsp_camera:
        request.getfixturevalue("rtsp")
    async with request.param(tmp_path) as made:
        yield made
        await made.close()


async def all_shots(source: Source) -> list[Shot]:
    """Read to the end."""
    shots = []
    while (shot := await source.read()) is not None:
        shots.append(shot)
    return shots


async def test_numbers_only_grow_and_every_shot_has_a_picture_or_a_fault(source: Source) -> None:
    """Shots come in the order of their numbers, near now, each with (height, width[, 3]) pixels or why it has none."""
    await source.open()
    shots = await all_shots(source)
    assert len(shots) == LIMIT
    now_ns = SystemClock().utc_ns()
    for shot in shots:
        assert (shot.number is not None) == source.numbers_parts
        assert abs(now_ns - shot.captured_at_ns) < _CLOCK_SLACK_NS
        assert (shot.pixels is None) == (shot.fault is not None)
        if shot.pixels is not None:
            assert shot.pixels.dtype in (np.uint8, np.uint16)
            assert shot.pixels.ndim == 2 or shot.pixels.shape[2] == 3
    numbers = [shot.number for shot in shots if shot.number is not None]
    assert numbers == sorted(set(numbers))


async def test_after_the_last_shot_there_is_none(source: Source) -> None:
    """Past its end a source keeps saying None."""
    await source.open()
    await all_shots(source)
    assert await source.read() is None
    assert await source.read() is None


async def test_closing_is_idempotent(source: Source) -> None:
    """A source can be closed before it was opened, and twice."""
    await source.close()
    await source.open()
    await source.read()
    await source.close()
    await source.close()


async def test_a_closed_source_opens_again(source: Source) -> None:
    """After `close`, `open` goes on; numbers do not begin again."""
    await source.open()
    first = await source.read()
    await source.close()
    await source.open()
    second = await source.read()
    assert first is not None
    assert second is not None
    if source.numbers_parts:
        assert first.number is not None
        assert second.number is not None
        assert second.number > first.number


async def test_counts_only_grow(source: Source) -> None:
    """What a source counts begins at zero or nothing, and never shrinks, over a restart neither."""
    assert not any(source.counts.values())
    await source.open()
    await source.read()
    before = dict(source.counts)
    await source.close()
    await source.open()
    await all_shots(source)
    assert all(source.counts[name] >= count for name, count in before.items())
