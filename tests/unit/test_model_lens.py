from __future__ import annotations

import numpy as np
import pytest

from detector.model.lens import Lens, Size, check_picture, in_levels, lens_for, lenses_for, level
from detector.model.profiles import LITE, LITE_PYRAMID, profile_named
from shared.domain import Picture
from shared.errors import ConfigError, PictureError

PLAIN = Lens(side_px=64, multiple_px=16, magnification=1.0, level_light=False)


def test_all_pictures_of_a_product_have_one_magnification() -> None:
    """The median picture comes to the wanted area; a wider one is wider, not smaller."""
    lens = lens_for([Size(480, 640)] * 5, 256, 16, level_light=False)
    assert lens.content(Size(480, 640)) == Size(224, 288)
    assert lens.content(Size(480, 1280)) == Size(224, 592)


def test_sides_are_whole_multiples_and_at_least_one() -> None:
    """The tower's cells cover a picture without a rest, however thin it is."""
    assert PLAIN.content(Size(70, 90)) == Size(64, 96)
    assert PLAIN.content(Size(1, 60)) == Size(16, 64)


def test_a_picture_far_larger_than_the_trained_ones_is_shrunk() -> None:
    """Time and memory stay bounded at four times the area."""
    content = PLAIN.content(Size(4000, 4000))
    assert content == Size(128, 128)


@pytest.mark.parametrize(
    ("native_px", "sides_px"), [(100, [256]), (256, [256]), (320, [256, 384]), (512, [512]), (1145, [512])]
)
def test_the_magnifications_bracket_the_cameras_own(native_px: int, sides_px: list[int]) -> None:
    """One where they agree or where the profile has none beyond, else the two neighbours, coarser first."""
    lenses = lenses_for([Size(native_px, native_px)] * 3, LITE_PYRAMID)
    assert [lens.side_px for lens in lenses] == sides_px
    for lens in lenses:
        assert lens.content(Size(native_px, native_px)).side_px == pytest.approx(lens.side_px, rel=0.04)


def test_a_square_lens_makes_squares() -> None:
    """A tower whose positions belong to one grid sees every picture on it."""
    lens = Lens(224, 16, 1.0, level_light=False, square=True)
    assert lens.content(Size(480, 640)) == Size(224, 224)
    assert lens.shrink(np.zeros((48, 96), dtype=np.uint8)).shape == (224, 224, 3)


@pytest.mark.parametrize(("height", "width"), [(512, 512), (480, 640), (1000, 777), (2048, 300), (257, 255), (64, 64)])
@pytest.mark.parametrize("deep", [False, True])
def test_a_picture_is_shrunk_without_losing_what_is_thin(height: int, width: int, deep: bool) -> None:
    """Every line of one pixel leaves a trace wherever it lies, and a plane stays one: no pixel is skipped."""
    lens = Lens(256, 16, 256 / np.sqrt(height * width), level_light=False)
    plane: Picture = (
        np.full((height, width, 3), 65_535, np.uint16) if deep else np.full((height, width, 3), 255, np.uint8)
    )
    size = lens.content(Size(height, width))
    for row in range(0, height, 7):
        picture = plane.copy()
        picture[:row] = picture[row + 1 :] = 0
        small = lens.shrink(in_levels(picture))
        assert small.shape == (size.height_px, size.width_px, 3)
        spread = np.asarray(small, dtype=np.float64).sum() / small.size * height / 255
        assert 0.9 < spread < 1.2
    assert np.allclose(lens.shrink(in_levels(plane)), 255.0, atol=1e-3)


def test_halves_are_means_of_whole_pixels() -> None:
    """Of a picture twice as large each pixel is the mean of four."""
    picture = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    small = Lens(64, 16, 0.5, level_light=False).shrink(picture)
    mean = picture.reshape(32, 2, 48, 2, 3).mean(axis=(1, 3))
    assert np.abs(np.asarray(small, dtype=np.float64) - mean).max() <= 0.75


def test_the_pixels_are_normalised_as_the_checkpoint_wants() -> None:
    """Black, the mean grey and white become about -1, 0 and 1."""
    for grey, wanted in ((0, -127 / 128), (127, 0.0), (255, 1.0)):
        seen = PLAIN.look(np.full((64, 64, 3), grey, dtype=np.uint8), LITE)
        assert seen.shape == (64, 64, 3)
        assert np.allclose(seen, wanted, atol=1e-6)


def test_a_grey_picture_is_the_same_as_its_three_equal_channels() -> None:
    """(H, W) and (H, W, 3) with equal channels look alike, levelled or not."""
    grey = np.random.default_rng(0).integers(0, 256, (50, 70), dtype=np.uint8)
    colour = np.repeat(grey[:, :, None], 3, axis=2)
    for lens in (PLAIN, Lens(64, 16, 1.0, level_light=True)):
        assert np.allclose(lens.look(grey, LITE), lens.look(colour, LITE), atol=1e-5)


def test_levelling_takes_exposure_and_shade_away_and_leaves_a_scratch() -> None:
    """The same plate at half the light, or with a shade across it, looks the same; what is thin stays."""
    rng = np.random.default_rng(1)
    plate = np.repeat(rng.normal(120, 6, (128, 128, 1)), 3, axis=2)
    plate[60:62, 20:100] -= 40
    shade = np.linspace(0.6, 1.4, 128)[None, :, None]
    bright, dark, shaded = (
        level(np.clip(picture, 0, 255).astype(np.uint8)) for picture in (plate, plate * 0.5, plate * shade)
    )
    inner = np.s_[16:-16, 16:-16]
    assert np.abs(bright - dark)[inner].mean() < 5
    assert np.abs(bright - shaded)[inner].mean() < 10
    for seen in (bright, dark, shaded):
        assert seen[60:62, 30:90].mean() < seen[40:50, 30:90].mean() - 50


@pytest.mark.parametrize("shape", [(10, 10, 4), (10,), (1, 10, 10, 3), (0, 10, 3), (10, 10, 1)])
def test_other_shapes_are_refused_by_their_place_in_the_batch(shape: tuple[int, ...]) -> None:
    """A shape that is neither colour nor grey is a PictureError that names the picture."""
    with pytest.raises(PictureError, match="picture 2 of the batch"):
        check_picture(np.zeros(shape, dtype=np.uint8), 2)


def test_other_types_are_refused() -> None:
    """A float picture is a PictureError that names its type."""
    picture = np.zeros((8, 8, 3), dtype=np.float32)
    with pytest.raises(PictureError, match="float32"):
        check_picture(picture)  # type: ignore[arg-type]


def test_an_unknown_profile_lists_the_known_ones() -> None:
    """The error names what there is."""
    with pytest.raises(ConfigError, match="edge, edge-mobile, lite, lite-crop, lite-pyramid, paper"):
        profile_named("heavy")
