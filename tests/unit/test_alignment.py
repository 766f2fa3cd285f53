from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from ingest.alignment import Alignment, Map
from ingest.rendering.conveyor import Conveyor, ConveyorSettings
from shared.errors import PictureError

PART = Conveyor(ConveyorSettings(seed=3, defect_rate=0)).render(1).pixels


def seen_through(picture: NDArray[np.uint8], how: Map) -> NDArray[np.uint8]:
    """Return the picture that shows each point of `picture` where `how` says, a little darker and with noise."""
    size = (picture.shape[1], picture.shape[0])
    moved = cv2.warpAffine(picture, how, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    noise = np.random.default_rng(0).normal(0, 3, picture.shape)
    return np.clip(0.9 * moved + noise, 0, 255).astype(np.uint8)


def turned(degrees: float, scale: float, x_px: float, y_px: float) -> Map:
    """Return a turn about the centre, and a shift."""
    turn = cv2.getRotationMatrix2D((PART.shape[1] / 2, PART.shape[0] / 2), degrees, scale)
    how = np.array(turn, dtype=np.float64)
    how[:, 2] += (x_px, y_px)
    return how


def error_px(found: Map, how: Map) -> float:
    """Return by how much points that went through `how` and back by `found` are off at most."""
    height, width = PART.shape[:2]
    points = np.array([(x, y, 1) for x in (0, width / 2, width) for y in (0, height / 2, height)]).T
    there = np.vstack([how @ points, np.ones(points.shape[1])])
    return float(np.abs(found @ there - points[:2]).max())


@pytest.mark.parametrize("by", [(0, 0), (13, -9), (-40.5, 22.25), (0.3, -0.4), (120, 80)])
def test_a_shift_is_found_to_a_fraction_of_a_pixel(by: tuple[float, float]) -> None:
    """Of noisy pictures in another light."""
    how = turned(0, 1, *by)
    assert error_px(Alignment(PART, "shift", "ref").find(seen_through(PART, how)), how) < 0.2


@pytest.mark.parametrize("how", [turned(0, 1, 20, -10), turned(3, 1.03, -15, 8), turned(-9, 0.95, 10, 10)])
def test_an_affine_map_is_found_to_a_fraction_of_a_pixel(how: Map) -> None:
    """Turned, nearer or farther, and shifted."""
    assert error_px(Alignment(PART, "affine", "ref").find(seen_through(PART, how)), how) < 0.2


def test_large_pictures_are_aligned_by_small_ones() -> None:
    """Twice the size that is looked at costs no more than a part of a pixel."""
    large = np.asarray(cv2.resize(PART, None, fx=2, fy=2), dtype=np.uint8)
    how = turned(0, 1, 33.5, -20.25)
    found = Alignment(large, "shift", "ref").find(seen_through(large, how))
    assert error_px(found, how) < 0.3


def test_pictures_of_16_bits_are_aligned_with_one_of_8() -> None:
    """The reference is a file of 8 bits whatever the camera gives."""
    how = turned(0, 1, 9, 5)
    picture = seen_through(PART, how)[..., 1].astype(np.uint16) * 257
    assert error_px(Alignment(PART, "shift", "ref").find(picture), how) < 0.2


@pytest.mark.parametrize("kind", ["shift", "affine"])
def test_a_picture_of_something_else_is_refused(kind: Literal["shift", "affine"]) -> None:
    """Noise, clouds, darkness or glare: it must not be inspected."""
    alignment = Alignment(PART, kind, "ref")
    noise = np.random.default_rng(0).integers(0, 256, PART.shape, dtype=np.uint8)
    clouds = np.asarray(cv2.GaussianBlur(noise, (0, 0), 9), dtype=np.uint8)
    for picture in (noise, clouds, np.zeros_like(PART), np.full_like(PART, 255)):
        with pytest.raises(PictureError, match="ref"):
            alignment.find(picture)


@pytest.mark.parametrize(("kind", "how"), [("shift", turned(0, 1, 200, 0)), ("affine", turned(15, 1, 0, 0))])
def test_what_lies_too_far_off_is_refused(kind: Literal["shift", "affine"], how: Map) -> None:
    """A camera that was knocked over is not corrected in silence."""
    with pytest.raises(PictureError, match="ref"):
        Alignment(PART, kind, "ref").find(seen_through(PART, how))


def test_a_reference_that_shows_nothing_is_refused() -> None:
    """All alike, or too small to compare."""
    for reference in (np.full((100, 100), 7, np.uint8), PART[:20, :20]):
        with pytest.raises(PictureError, match="ref"):
            Alignment(reference, "shift", "ref")
