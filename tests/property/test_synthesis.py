"""What holds for every made defect, whatever the picture and the seed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.training.synthesis.base import Canvas
from detector.training.synthesis.foreground import find_foreground
from detector.training.synthesis.generators import GENERATORS
from detector.training.synthesis.noise import perlin
from detector.training.synthesis.synthesise import spoil, synthesise
from shared.errors import ConfigError

SEEDS = st.integers(0, 2**32 - 1)
NAMES = st.sampled_from(sorted(GENERATORS))
FADE_PX = 6
SIZES = st.tuples(st.integers(24, 90), st.integers(24, 90))


def plate(shape: tuple[int, int], seed: int, *, colour: bool = True) -> np.ndarray:
    """Return a grained plate with a bright bar, the same for the same seed."""
    rng = np.random.default_rng(seed)
    picture = rng.normal(120, 12, (*shape, 3)) if colour else np.repeat(rng.normal(120, 12, (*shape, 1)), 3, axis=2)
    picture[:, shape[1] // 3 : shape[1] // 2] += 60
    return np.clip(picture, 0, 255).astype(np.uint8)


def canvas(shape: tuple[int, int], seed: int, *, colour: bool = True) -> Canvas:
    """Return a plate that fills the picture, with one more to take texture from."""
    return Canvas(plate(shape, seed, colour=colour), np.ones(shape, dtype=np.bool_), [plate((40, 50), seed + 1)])


@settings(max_examples=150, deadline=None)
@given(NAMES, SIZES, SEEDS)
def test_the_same_seed_makes_the_same_defect_and_leaves_the_good_picture_alone(
    name: str, shape: tuple[int, int], seed: int
) -> None:
    """Every generator draws its chance from the one given, and writes to a copy."""
    good = canvas(shape, seed)
    before = good.picture.copy()
    first = spoil(good, np.random.default_rng(seed), name)
    second = spoil(good, np.random.default_rng(seed), name)
    assert np.array_equal(first.picture, second.picture)
    assert np.array_equal(first.mask, second.mask)
    assert np.array_equal(good.picture, before)


@settings(max_examples=150, deadline=None)
@given(NAMES, SIZES, SEEDS)
def test_the_mask_covers_every_change_that_can_be_seen_where_the_generator_worked(
    name: str, shape: tuple[int, int], seed: int
) -> None:
    """What the mask marks is changed or enclosed by change; what it leaves out is nearly as it was."""
    good = canvas(shape, seed)
    made = synthesise(good, np.random.default_rng(seed), [name])
    assert made.picture.shape == good.picture.shape
    assert made.picture.dtype == np.uint8
    assert made.mask.shape == shape
    changed = np.abs(made.picture.astype(int) - good.picture.astype(int)).max(axis=2)
    visible = (changed >= 6).astype(np.uint8)
    enclosed = cv2.morphologyEx(visible, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)) > 0
    assert not (made.mask & ~enclosed).any()
    if not made.generators:
        # Nothing could change this picture: then nothing did.
        assert not changed.any()
    # An edge fades out over a few pixels beyond the mask: farther away nothing can be seen to have changed.
    near = cv2.dilate(made.mask.astype(np.uint8), np.ones((2 * FADE_PX + 1, 2 * FADE_PX + 1), np.uint8)) > 0
    assert visible[~near].sum() <= 0.3 * visible.sum() + 40


@settings(max_examples=60, deadline=None)
@given(SIZES, SEEDS)
def test_a_spoilt_picture_is_visibly_spoilt(shape: tuple[int, int], seed: int) -> None:
    """A picture with grain always gets a defect with a mask, of one to three generators."""
    made = synthesise(canvas(shape, seed), np.random.default_rng(seed))
    assert 1 <= len(made.generators) <= 3
    assert 4 <= made.mask.sum() <= 0.6 * made.mask.size
    assert (made.picture != plate(shape, seed)).any()


@settings(max_examples=40, deadline=None)
@given(NAMES, SEEDS)
def test_a_grey_camera_delivers_grey_defects(name: str, seed: int) -> None:
    """Colour in a grey picture would give the defect away."""
    picture = spoil(canvas((60, 70), seed, colour=False), np.random.default_rng(seed), name).picture
    assert (picture[..., 0] == picture[..., 1]).all()
    assert (picture[..., 0] == picture[..., 2]).all()


@settings(max_examples=40, deadline=None)
@given(NAMES, SEEDS)
def test_a_black_and_white_picture_stays_black_and_white(name: str, seed: int) -> None:
    """A binarised board has no half-tones, nor has its defect."""
    board = np.zeros((64, 64, 3), dtype=np.uint8)
    board[20:40, :] = 255
    board[:, 10:16] = 255
    good = Canvas(board, np.ones((64, 64), dtype=np.bool_))
    picture = spoil(good, np.random.default_rng(seed), name).picture
    assert set(np.unique(picture).tolist()) <= {0, 255}


@settings(max_examples=40, deadline=None)
@given(NAMES, SEEDS)
def test_defects_touch_an_object_not_its_background(name: str, seed: int) -> None:
    """Where an object lies on a plain background, most of what is marked is on it."""
    picture = np.full((96, 96, 3), 30, dtype=np.uint8)
    picture[24:72, 24:72] = plate((48, 48), 3)
    inside = find_foreground(picture)
    assert 0.2 < inside.mean() < 0.35
    made = spoil(Canvas(picture, inside), np.random.default_rng(seed), name)
    grown = np.zeros((96, 96), dtype=np.bool_)
    grown[24:72, 24:72] = True
    near = np.zeros((96, 96), dtype=np.bool_)
    near[18:78, 18:78] = True
    if name in ("perlin_foreign", "perlin_own", "blur", "rough", "light"):
        assert not (made.mask & ~grown).any()
    elif made.mask.any():
        # Islands and lines start on the product and may reach beyond its rim.
        assert (made.mask & near).any()


@given(st.integers(1, 32), st.integers(1, 32), SEEDS)
def test_perlin_noise_is_zero_on_its_lattice_and_bounded(rows: int, columns: int, seed: int) -> None:
    """Gradient noise vanishes at every lattice point and never leaves -1..1."""
    noise = perlin((rows * 4, columns * 4), (rows, columns), np.random.default_rng(seed))
    assert np.abs(noise).max() <= 1.0 + 1e-5
    assert np.abs(noise[::4, ::4]).max() < 1e-5


def test_a_picture_that_fills_the_frame_is_all_product() -> None:
    """A rim of many colours is no background."""
    picture = np.zeros((64, 64, 3), dtype=np.uint8)
    picture[:32, :32], picture[:32, 32:], picture[32:, :32], picture[32:, 32:] = 20, 90, 160, 230
    assert find_foreground(picture).all()


def test_an_unknown_generator_is_named() -> None:
    """The error lists those that there are."""
    with pytest.raises(ConfigError, match=r"'rust'.*scratch"):
        spoil(canvas((40, 40), 0), np.random.default_rng(0), "rust")


def test_a_picture_that_nothing_can_change_has_an_empty_mask() -> None:
    """Blurring a flat picture leaves no trace, and none is claimed."""
    flat = Canvas(np.full((32, 32, 3), 128, dtype=np.uint8), np.ones((32, 32), dtype=np.bool_))
    made = synthesise(flat, np.random.default_rng(0), ("blur",))
    assert made.generators == ()
    assert not made.mask.any()
