import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from ingest.slate import HEIGHT_PX, MIN_WIDTH_PX, Slate, draw_slate, read_slate
from shared.errors import PictureError

RANDOM = np.random.default_rng(7)


def picture(width_px: int = 320, height_px: int = 48) -> NDArray[np.uint8]:
    """Return random pixels."""
    return RANDOM.integers(0, 256, (height_px, width_px, 3), dtype=np.uint8)


def test_the_strip_is_cut_off_again() -> None:
    """Nobody behind the reader sees the slate: the picture is what it was."""
    pixels = picture()
    drawn = draw_slate(pixels, Slate(7, defect=True))
    assert drawn.shape == (48 + HEIGHT_PX, 320, 3)
    found, slate = read_slate(drawn)
    assert np.array_equal(found, pixels)
    assert slate == Slate(7, defect=True)


@pytest.mark.parametrize("width_px", [256, 320, 512, 1_920])
@pytest.mark.parametrize("number", [0, 1, 0x555555, 0xFFFFFF])
def test_a_slate_survives_a_bad_stream(width_px: int, number: int) -> None:
    """JPEG at quality 60 after a blur: what a camera's codec does, and worse."""
    drawn = draw_slate(picture(width_px), Slate(number, defect=bool(number & 1)))
    blurred = cv2.GaussianBlur(drawn, (0, 0), 1.2)
    _, data = cv2.imencode(".jpg", blurred, [cv2.IMWRITE_JPEG_QUALITY, 60])
    seen = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)
    assert read_slate(seen)[1] == Slate(number, defect=bool(number & 1))


@pytest.mark.parametrize("width_px", [1, 34, 63])
def test_a_picture_too_narrow_has_no_slate(width_px: int) -> None:
    """35 cells need room, for writing and for reading."""
    with pytest.raises(PictureError, match="no room"):
        draw_slate(picture(width_px), Slate(1, defect=False))
    with pytest.raises(PictureError, match="no room"):
        read_slate(picture(width_px))


def test_a_picture_no_higher_than_a_strip_has_no_slate() -> None:
    """There would be no picture left."""
    with pytest.raises(PictureError, match="no room"):
        read_slate(picture(MIN_WIDTH_PX, HEIGHT_PX))


def test_a_torn_strip_is_not_legible() -> None:
    """Any one cell turned over is noticed."""
    drawn = draw_slate(picture(350), Slate(0xABCDE, defect=False))
    for cell in range(35):
        torn = drawn.copy()
        torn[-HEIGHT_PX:, cell * 10 : cell * 10 + 10] = 255 - torn[-HEIGHT_PX:, cell * 10 : cell * 10 + 10]
        with pytest.raises(PictureError, match="not legible"):
            read_slate(torn)


def test_noise_and_grey_are_not_taken_for_slates() -> None:
    """A frame without a slate must not name a part: of random strips none is read."""
    for _ in range(200):
        with pytest.raises(PictureError):
            read_slate(picture(64))
    for level in (0, 128, 255):
        with pytest.raises(PictureError):
            read_slate(np.full((64, 320, 3), level, dtype=np.uint8))
