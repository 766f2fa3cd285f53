from __future__ import annotations

import numpy as np
import pytest

from detector.model.preprocess import Placement, Size, canvas_for, check_picture, place, to_batch
from detector.model.profiles import LITE, profile_named
from shared.errors import ConfigError, PictureError


def test_the_canvas_follows_the_pictures_aspect_ratio_at_one_area() -> None:
    """A 4:3 camera gets a 4:3 canvas of about 256 squared pixels, in whole multiples."""
    canvas = canvas_for([Size(480, 640)] * 5, LITE)
    assert canvas == Size(224, 288)
    assert canvas_for([Size(100, 100)], LITE) == Size(256, 256)


def test_a_picture_keeps_its_aspect_ratio_and_the_padding_repeats_its_edge() -> None:
    """A wide picture on a square canvas fills the width, and the rows below repeat its last one."""
    canvas = Size(64, 64)
    picture = np.zeros((40, 80, 3), dtype=np.uint8)
    picture[-4:] = 255
    batch, placements = to_batch([picture], canvas, LITE)
    assert placements == [Placement(Size(40, 80), Size(32, 64))]
    assert batch.shape == (1, 64, 64, 3)
    assert np.allclose(batch[0, 32:], batch[0, 31])
    assert np.allclose(batch[0, 60], 1.0)


def test_the_pixels_are_normalised_as_the_checkpoint_wants() -> None:
    """Black, the mean grey and white become about -1, 0 and 1."""
    pictures = [np.full((64, 64, 3), level, dtype=np.uint8) for level in (0, 127, 255)]
    batch, _ = to_batch(pictures, Size(64, 64), LITE)
    assert np.allclose(batch.mean(axis=(1, 2, 3)), [-127 / 128, 0.0, 1.0], atol=1e-6)


def test_a_grey_picture_is_the_same_as_its_three_equal_channels() -> None:
    """(H, W) and (H, W, 3) with equal channels give the same batch."""
    grey = np.random.default_rng(0).integers(0, 256, (50, 70), dtype=np.uint8)
    batch, _ = to_batch([grey, np.repeat(grey[:, :, None], 3, axis=2)], Size(64, 64), LITE)
    assert np.array_equal(batch[0], batch[1])


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


def test_a_sliver_of_a_picture_still_has_a_place() -> None:
    """A picture that is one pixel high is at least one pixel high on the canvas."""
    assert place(Size(1, 5000), Size(256, 256)).content == Size(1, 256)


def test_an_unknown_profile_is_refused_with_the_known_ones() -> None:
    """The error lists what can be chosen."""
    with pytest.raises(ConfigError, match="lite"):
        profile_named("huge")
