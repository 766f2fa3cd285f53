"""Video files, and with them the decoder that live streams share: colours, damage, another size in mid-stream."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from structlog.testing import capture_logs

from ingest.sources.base import Fault, Shot
from ingest.sources.video.file import VideoFileSource
from shared.clock import NS_PER_MS, SystemClock
from shared.errors import DataError
from tests.videos import CHART, chart, encoded, patches_of, write_without

_SUFFIX = {"libx264": "h264", "libx265": "hevc"}


def moving(count: int, width_px: int = 128) -> list[NDArray[np.uint8]]:
    """Return pictures with a bright block that moves over a texture."""
    texture = np.random.default_rng(0).integers(40, 90, (96, width_px, 3), dtype=np.uint8)
    pictures = []
    for index in range(count):
        picture = texture.copy()
        picture[20:60, index * 2 : index * 2 + 40] = 210
        pictures.append(picture)
    return pictures


async def shots_of(path: Path, *, limit: int | None = None) -> tuple[list[Shot], VideoFileSource]:
    """Return all shots of a file."""
    source = VideoFileSource(str(path), rate_hz=1_000, limit=limit, slate=False, clock=SystemClock())
    await source.open()
    shots = []
    while (shot := await source.read()) is not None:
        shots.append(shot)
    await source.close()
    return shots, source


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize("matrix", ["ITU601", "ITU709"])
@pytest.mark.parametrize("full_range", [False, True])
async def test_colours_are_read_as_the_stream_says(
    tmp_path: Path,
    codec: Literal["libx264", "libx265"],
    matrix: Literal["ITU601", "ITU709"],
    full_range: bool,
) -> None:
    """A chart of colours comes back within three levels for each matrix and range that a stream may name."""
    path = tmp_path / f"chart.{_SUFFIX[codec]}"
    path.write_bytes(b"".join(encoded([chart()] * 3, codec=codec, matrix=matrix, full_range=full_range)))
    shots, _ = await shots_of(path)
    assert len(shots) == 3
    for shot in shots:
        assert shot.pixels is not None
        np.testing.assert_allclose(patches_of(np.asarray(shot.pixels, np.uint8)), CHART, atol=3)


async def test_damaged_pictures_are_told_and_never_shown(tmp_path: Path) -> None:
    """A damaged picture and all that are predicted from it are exposures without pixels; the others are as before."""
    whole = encoded(moving(30), key_every=10)
    hurt = list(whole)
    hurt[13] = whole[13][: len(whole[13]) // 2]
    (tmp_path / "whole.h264").write_bytes(b"".join(whole))
    (tmp_path / "hurt.h264").write_bytes(b"".join(hurt))
    sound, _ = await shots_of(tmp_path / "whole.h264")
    shots, source = await shots_of(tmp_path / "hurt.h264")
    assert [shot.fault for shot in shots] == [None] * 13 + [Fault.UNREADABLE] * 7 + [None] * 10
    assert source.counts["damaged"] + source.counts["undecodable"] == 7
    for shot, before in zip(shots, sound, strict=True):
        if shot.pixels is not None:
            assert before.pixels is not None
            np.testing.assert_array_equal(shot.pixels, before.pixels)


async def test_a_lost_h265_picture_is_told_with_those_that_need_it(tmp_path: Path) -> None:
    """Pictures that the decoder leaves out without a word are told as unreadable."""
    write_without(tmp_path / "lost.mkv", moving(30), missing=13)
    shots, _ = await shots_of(tmp_path / "lost.mkv")
    assert [shot.fault for shot in shots] == [None] * 13 + [Fault.UNREADABLE] * 6 + [None] * 10


async def test_another_size_in_mid_stream_goes_on(tmp_path: Path) -> None:
    """After a change of size pictures come in the new one, and the change is logged."""
    path = tmp_path / "turned.h264"
    path.write_bytes(b"".join(encoded(moving(5)) + encoded(moving(5, width_px=192))))
    with capture_logs() as logs:
        shots, source = await shots_of(path)
    assert [shot.pixels.shape for shot in shots if shot.pixels is not None] == [(96, 128, 3)] * 5 + [(96, 192, 3)] * 5
    changes = [(entry["old"], entry["new"]) for entry in logs if entry["event"] == "picture.changed"]
    assert changes == [("h264 128x96", "h264 192x96")]
    assert source.counts["picture_changed"] == 1


async def test_a_limit_ends_a_file(tmp_path: Path) -> None:
    """No more pictures are read than the limit says."""
    path = tmp_path / "moving.h264"
    path.write_bytes(b"".join(encoded(moving(10))))
    shots, _ = await shots_of(path, limit=4)
    assert len(shots) == 4


async def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    """A file that is missing or no video is an error of whoever named it, and no camera to be tried again."""
    (tmp_path / "notes.mp4").write_text("no video at all")
    for name in ("notes.mp4", "absent.mp4"):
        with pytest.raises(DataError, match=name):
            await shots_of(tmp_path / name)


@pytest.mark.parametrize(("rate_hz", "speed", "period_ms"), [(None, 1.0, 40), (None, 4.0, 10), (20.0, 4.0, 50)])
async def test_a_film_has_a_pace_of_its_own(
    rate_hz: float | None, speed: float, period_ms: float, tmp_path: Path
) -> None:
    """Its own average rate times the speed, unless another one is asked for."""
    path = tmp_path / "film.h264"
    path.write_bytes(b"".join(encoded(moving(3))))
    source = VideoFileSource(str(path), rate_hz=rate_hz, limit=None, slate=False, clock=SystemClock(), speed=speed)
    await source.open()
    await source.close()
    assert source._pacer._period_ns == period_ms * NS_PER_MS
