from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ingest.geometry import Geometry
from ingest.rendering.conveyor import Conveyor, ConveyorSettings
from shared.camera_settings import GeometrySettings
from shared.domain import Picture
from shared.errors import ConfigError, DataError, PictureError

PART = Conveyor(ConveyorSettings(seed=3, defect_rate=0)).render(1).pixels
LENS = {"lens_matrix": (500.0, 500.0, 320.0, 240.0), "lens_distortion": (-0.2, 0.05, 0.0, 0.0)}
MASK = ((2, 1), (4, 1), (4, 3), (2, 3))

sides = st.integers(4, 12)
shapes = st.tuples(sides, sides) | st.tuples(sides, sides, st.just(3))
pictures = st.sampled_from([np.uint8, np.uint16]).flatmap(lambda dtype: arrays.arrays(dtype, shapes))


def geometry(**settings: Any) -> Geometry:  # noqa: ANN401 - settings of any type
    """Return the geometry of these settings."""
    return Geometry.from_settings(GeometrySettings.model_validate(settings), "top")


@given(pictures)
def test_without_settings_a_picture_is_not_touched(picture: Picture) -> None:
    """It is the same object."""
    assert geometry().apply(picture) is picture
    assert not geometry().changes
    height, width = picture.shape[:2]
    assert geometry(crop_px=(0, 0, width, height)).apply(picture) is picture


@given(pictures, st.sampled_from([90, -270]))
def test_four_quarter_turns_are_none(picture: Picture, degrees: int) -> None:
    """Exact, pixel for pixel, and each one is clockwise."""
    turn = geometry(rotate_deg=degrees)
    once = turn.apply(picture)
    assert np.array_equal(once, np.rot90(picture, -1))
    assert once.dtype == picture.dtype
    assert np.array_equal(turn.apply(turn.apply(turn.apply(once))), picture)


@given(pictures, st.sampled_from([-180, -90, 0, 90, 180, 270]), st.sampled_from([-180, -90, 0, 90, 180, 270]))
def test_turns_add_up(picture: Picture, one: int, other: int) -> None:
    """In either order."""
    total = (one + other) % 360
    both = geometry(rotate_deg=one).apply(geometry(rotate_deg=other).apply(picture))
    assert np.array_equal(both, geometry(rotate_deg=total).apply(picture))


@given(pictures, st.data())
def test_a_crop_of_a_crop_is_a_crop(picture: Picture, data: st.DataObject) -> None:
    """Whatever lies within."""
    height, width = picture.shape[:2]

    def part(width_px: int, height_px: int) -> tuple[int, int, int, int]:
        left, top = data.draw(st.integers(0, width_px - 1)), data.draw(st.integers(0, height_px - 1))
        return left, top, data.draw(st.integers(1, width_px - left)), data.draw(st.integers(1, height_px - top))

    first = part(width, height)
    second = part(first[2], first[3])
    both = (first[0] + second[0], first[1] + second[1], second[2], second[3])
    twice = geometry(crop_px=second).apply(geometry(crop_px=first).apply(picture))
    assert np.array_equal(twice, geometry(crop_px=both).apply(picture))
    assert twice.dtype == picture.dtype


@given(pictures)
def test_masks_are_grey_and_nothing_else_is_changed(picture: Picture) -> None:
    """Rims included; the picture that was given stays as it was, even one that cannot be written to."""
    before = picture.copy()
    picture.flags.writeable = False
    masked = geometry(masks=(MASK,)).apply(picture)
    inside = np.zeros(picture.shape[:2], dtype=bool)
    inside[1:4, 2:5] = True
    assert (masked[inside] == (128 if picture.dtype == np.uint8 else 32_768)).all()
    assert np.array_equal(masked[~inside], picture[~inside])
    assert np.array_equal(picture, before)
    assert masked.dtype == picture.dtype


def test_masks_are_told_in_the_picture_as_it_is_sent() -> None:
    """After the turn and the crop."""
    picture = np.zeros((20, 40), dtype=np.uint8)
    sent = geometry(rotate_deg=90, crop_px=(5, 10, 10, 12), masks=(((0, 0), (9, 0), (9, 0)),)).apply(picture)
    assert sent.shape == (12, 10)
    assert (sent[0] == 128).all()
    assert not sent[1:].any()


@pytest.mark.parametrize("degrees", [2.5, 92.5, -177.5, -44.0])
def test_any_other_turn_is_about_the_centre_in_the_same_size(degrees: float) -> None:
    """Turned there and back, the middle is as it was."""
    smooth = np.asarray(cv2.GaussianBlur(PART, (0, 0), 3), dtype=np.uint8)
    there = geometry(rotate_deg=degrees).apply(smooth)
    back = geometry(rotate_deg=-degrees).apply(there)
    assert back.shape == smooth.shape
    middle = (slice(180, 300), slice(240, 400))
    assert np.abs(back[middle].astype(int) - smooth[middle]).mean() < 1.5


def test_a_small_turn_is_clockwise() -> None:
    """What is right of the centre goes down."""
    picture = np.zeros((101, 101), dtype=np.uint8)
    picture[49:52, 89:92] = 255
    rows, _ = np.nonzero(geometry(rotate_deg=10).apply(picture) > 100)
    assert abs(rows.mean() - (50 + 40 * np.sin(np.deg2rad(10)))) < 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_lens_is_taken_out(dtype: type[np.uint8 | np.uint16]) -> None:
    """As OpenCV does it, in the type that it came in, also when the size changes under way."""
    straighten = geometry(**LENS)
    camera: list[Picture] = [PART, PART[:300, :400], PART[..., 1]]
    for picture in camera if dtype is np.uint8 else [one.astype(np.uint16) for one in camera]:
        found = straighten.apply(picture)
        matrix = np.array([[500, 0, 320], [0, 500, 240], [0, 0, 1]], dtype=np.float64)
        expected = cv2.undistort(picture, matrix, np.array(LENS["lens_distortion"]))
        assert found.dtype == dtype
        assert found.shape == picture.shape
        middle = (slice(100, 200), slice(100, 300))
        assert np.array_equal(found[middle], np.asarray(expected)[middle])


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    """Return the file of a picture of a good part."""
    path = tmp_path / "reference.png"
    assert cv2.imwrite(str(path), PART[..., ::-1])
    return path


@pytest.mark.parametrize("kind", ["shift", "affine"])
@pytest.mark.parametrize("more", [{}, LENS])
def test_a_shifted_picture_is_aligned_with_the_reference(reference: Path, kind: str, more: dict[str, Any]) -> None:
    """It lies where the reference does, to a fraction of a pixel, with the lens taken out of both."""
    shifted = np.roll(PART, (7, -11), (0, 1))
    aligned = geometry(align=kind, reference=reference, crop_px=(80, 60, 480, 360), **more).apply(shifted)
    expected = geometry(**more).apply(PART)[60:420, 80:560]
    assert np.abs(aligned.astype(int) - expected).mean() < 4
    assert np.abs(shifted[60:420, 80:560].astype(int) - expected).mean() > 8


@pytest.mark.parametrize(("settings", "sees"), [({}, False), ({"crop_px": (40, 40, 500, 400)}, True)])
def test_what_the_camera_did_not_see_is_not_made_up(reference: Path, settings: dict[str, Any], *, sees: bool) -> None:
    """A part that lies 30 pixels off is cut by the frame: only what of it is sent must have been seen."""
    align = geometry(align="shift", reference=reference, **settings)
    shifted = np.roll(PART, 30, 1)
    if sees:
        assert align.apply(shifted).shape == (400, 500, 3)
    else:
        with pytest.raises(PictureError, match="outside of what the camera saw"):
            align.apply(shifted)


def test_a_picture_that_lies_right_is_not_touched(reference: Path) -> None:
    """The reference itself is not interpolated."""
    picture = PART.copy()
    assert geometry(align="shift", reference=reference).apply(picture) is picture


def test_a_picture_that_cannot_be_aligned_is_a_picture_error(reference: Path) -> None:
    """The caller must not inspect it; the next one is aligned."""
    align = geometry(align="shift", reference=reference)
    with pytest.raises(PictureError, match=r"reference\.png"):
        align.apply(np.zeros_like(PART))
    assert align.apply(PART).shape == PART.shape


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"crop_px": (600, 0, 100, 10)}, "700x10.*640x480"),
        ({"rotate_deg": 90, "crop_px": (0, 0, 640, 480)}, "640x480.*480x640"),
        ({"crop_px": (0, 0, 100, 80), "masks": (((100, 0), (120, 0), (120, 9)),)}, "100x0.*100x80"),
    ],
)
def test_what_lies_outside_of_the_picture_names_both_sizes(settings: dict[str, Any], says: str) -> None:
    """The camera is named, too."""
    with pytest.raises(ConfigError, match=f"'top'.*{says}"):
        geometry(**settings).apply(PART)


def test_a_reference_of_another_size_names_both_sizes(reference: Path) -> None:
    """It was taken before the camera was set otherwise."""
    with pytest.raises(ConfigError, match=r"600x400.*reference\.png.*640x480"):
        geometry(align="shift", reference=reference).apply(PART[:400, :600])


def test_a_reference_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """Missing, no picture, or nothing to be seen on it; the camera is named, too."""
    (tmp_path / "text.png").write_text("no picture", encoding="utf-8")
    assert cv2.imwrite(str(tmp_path / "black.png"), np.zeros_like(PART))
    for name in ("missing.png", "text.png", "black.png"):
        with pytest.raises(DataError, match=rf"'top'.*{name}"):
            geometry(align="shift", reference=tmp_path / name)


def test_several_threads_share_a_geometry(reference: Path) -> None:
    """Of pictures of several sizes at once, each comes out as it does alone."""
    straighten, align = geometry(**LENS), geometry(align="affine", reference=reference, crop_px=(40, 20, 560, 440))
    sizes = [PART, PART[:200, :300], PART[:100, :100]] * 8
    moved = [np.roll(PART, (number, 2 * number), (0, 1)) for number in range(1, 9)]
    with ThreadPoolExecutor(8) as threads:
        straight = list(threads.map(straighten.apply, sizes))
        aligned = list(threads.map(align.apply, moved))
    for picture, found in zip(sizes, straight, strict=True):
        assert np.array_equal(geometry(**LENS).apply(picture), found)
    for picture, found in zip(moved, aligned, strict=True):
        assert np.array_equal(align.apply(picture), found)
