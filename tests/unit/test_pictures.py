from pathlib import Path

import cv2
import numpy as np
import pytest

from ingest.sources.folder import FolderSource
from ingest.sources.pictures import find_pictures, read_picture
from shared.clock import ManualClock
from shared.errors import DataError, PictureError

RED = np.zeros((16, 24, 3), dtype=np.uint8)
RED[..., 2] = 200


def put(path: Path) -> Path:
    """Write a red picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), RED)
    return path


def test_a_plain_folder_is_played_in_order_without_labels(tmp_path: Path) -> None:
    """By name, with its subfolders, and nothing but pictures."""
    for name in ("b.png", "a.jpg", "c/d.PNG"):
        put(tmp_path / name.lower()).rename(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "e.png").mkdir()
    found = find_pictures(tmp_path)
    assert [str(file.path.relative_to(tmp_path)) for file in found] == ["a.jpg", "b.png", "c/d.PNG"]
    assert {file.label for file in found} == {None}


def test_a_data_set_is_played_mixed_with_its_labels(tmp_path: Path) -> None:
    """In the MVTec layout the test pictures are played, in an order that the seed alone decides."""
    for label in ("good", "scratch"):
        for number in range(8):
            put(tmp_path / "test" / label / f"{number}.png")
    put(tmp_path / "train" / "good" / "0.png")
    put(tmp_path / "ground_truth" / "scratch" / "0_mask.png")
    found = find_pictures(tmp_path, seed=1)
    assert sorted(file.label or "" for file in found) == ["good"] * 8 + ["scratch"] * 8
    assert found == find_pictures(tmp_path, seed=1)
    assert found != find_pictures(tmp_path, seed=2)
    assert all(file.path.parent.name == file.label for file in found)


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    """Missing or empty, the message names it."""
    with pytest.raises(DataError, match="does not exist"):
        find_pictures(tmp_path / "nowhere")
    with pytest.raises(DataError, match="has no pictures"):
        find_pictures(tmp_path)
    (tmp_path / "test").mkdir()
    with pytest.raises(DataError, match="has no pictures"):
        find_pictures(tmp_path)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_pictures_are_read_as_rgb(tmp_path: Path, name: str) -> None:
    """Red is in the first channel."""
    pixels = read_picture(put(tmp_path / name))
    assert pixels.shape == RED.shape
    assert pixels[8, 12, 0] > 180
    assert pixels[8, 12, 2] < 30


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_every_truncated_file_is_refused(tmp_path: Path, name: str) -> None:
    """Half a picture is no picture."""
    data = put(tmp_path / name).read_bytes()
    for length in range(0, len(data), 7):
        (tmp_path / name).write_bytes(data[:length])
        with pytest.raises(PictureError):
            read_picture(tmp_path / name)


def test_a_jpeg_with_something_behind_it_is_read(tmp_path: Path) -> None:
    """Cameras append what they like."""
    path = put(tmp_path / "a.jpg")
    path.write_bytes(path.read_bytes() + bytes(100))
    assert read_picture(path).shape == RED.shape


def test_what_cannot_be_read_is_a_picture_error(tmp_path: Path) -> None:
    """No file, a folder, no picture."""
    (tmp_path / "text.png").write_text("no picture")
    for name in ("missing.png", ".", "text.png"):
        with pytest.raises(PictureError):
            read_picture(tmp_path / name)


async def test_a_folder_plays_once_or_up_to_its_limit(tmp_path: Path) -> None:
    """Parts are numbered from one; with a limit above the number of pictures it begins again."""
    for name in ("a.png", "b.png"):
        put(tmp_path / name)
    for limit, expected in ((None, [1, 2]), (1, [1]), (5, [1, 2, 3, 4, 5])):
        source = FolderSource(tmp_path, rate_hz=1e6, limit=limit, seed=0, clock=InstantClock())
        await source.open()
        numbers = []
        while (shot := await source.read()) is not None:
            numbers.append(shot.number)
        await source.close()
        assert numbers == expected


async def test_an_unreadable_picture_is_an_exposure_without_pixels(tmp_path: Path) -> None:
    """The part went by; the next picture follows."""
    put(tmp_path / "b.png")
    (tmp_path / "a.png").write_bytes(b"broken")
    source = FolderSource(tmp_path, rate_hz=1e6, limit=None, seed=0, clock=InstantClock())
    await source.open()
    first, second = await source.read(), await source.read()
    assert first is not None
    assert second is not None
    assert first.pixels is None
    assert second.pixels is not None


class InstantClock(ManualClock):
    """A clock on which every sleep is over at once."""

    async def sleep(self, seconds: float) -> None:
        """Move time instead of waiting."""
        self._monotonic_ns += max(0, round(seconds * 1e9))
