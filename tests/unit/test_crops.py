"""The second look: windows, light, what is left out at their rims, and how looks are blended and scored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
import torch

from detector.model import artifact
from detector.model.backbone.assemble import tower_of
from detector.model.backbone.weights import read_weights
from detector.model.bank import Bank
from detector.model.crops import RIM_PX, Crops, Window, blend_back, find_windows, frame_of, look_again
from detector.model.fusion import Scale
from detector.model.lens import Lens, Size, level_part, light_of
from detector.model.profiles import LITE_CROP
from detector.model.view import View
from detector.runtime.eager import TorchEngine
from detector.training.fit import train

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

FRAME = Size(1024, 1280)


def frame(seed: int, *, scratch: bool = False) -> NDArray[np.uint8]:
    """Return a frame of 480x640 with a grained disc; `scratch` draws a dark line of 14 pixels on it."""
    rng = np.random.default_rng(seed)
    picture = np.full((480, 640, 3), 70, dtype=np.uint8)
    cv2.circle(picture, (320, 240), 200, (170, 165, 160), -1)
    if scratch:
        cv2.line(picture, (300, 200), (310, 210), (40, 40, 40), 2, cv2.LINE_AA)
    return np.clip(picture + rng.normal(0, 5, picture.shape), 0, 255).astype(np.uint8)


def test_windows_lie_about_the_highest_peaks_and_within_the_frame() -> None:
    """Two peaks near each other share a window; one in the corner is seen from inside."""
    coarse = np.zeros((128, 160), dtype=np.float32)
    coarse[0, 0], coarse[64, 80], coarse[66, 82], coarse[100, 20] = 3.0, 5.0, 4.0, 2.0
    found = find_windows(coarse, FRAME, 256, 3)
    assert found[0] == Window(516, 388, 256, 256)
    assert found[1] == Window(0, 0, 256, 256)
    assert found[2].left_px <= 164 < found[2].left_px + 256
    assert found[2].top_px <= 804 < found[2].top_px + 256


def test_a_frame_smaller_than_a_window_is_one_window() -> None:
    """And asking for more ends when everything was looked at."""
    assert find_windows(np.ones((8, 8), dtype=np.float32), Size(100, 120), 256, 1) == [Window(0, 0, 120, 100)]
    assert len(find_windows(np.ones((4, 4), dtype=np.float32), Size(100, 120), 256, 50)) <= 16


@pytest.mark.parametrize("corner", [(0, 0), (130, 210), (224, 384)])
def test_a_part_is_levelled_as_it_is_within_the_whole(corner: tuple[int, int]) -> None:
    """A window's pixels do not depend on where it was cut."""
    picture = frame(1)
    light, size = light_of(picture), Size(480, 640)
    whole = level_part(picture, (0, 0), size, light)
    rows, columns = slice(corner[0], corner[0] + 256), slice(corner[1], corner[1] + 256)
    part = level_part(picture[rows, columns], corner, size, light)
    assert np.allclose(part, whole[rows, columns], atol=0.6)


def test_half_the_light_levels_to_the_same_frame() -> None:
    """Exposure does not matter to the second look either."""
    bright = frame(2)
    dark = (bright // 2).astype(np.uint8)
    levelled = [level_part(picture, (0, 0), Size(480, 640), light_of(picture)) for picture in (bright, dark)]
    assert np.abs(levelled[0] - levelled[1]).mean() < 4.0


def test_patches_that_see_the_padding_are_left_out_but_not_at_the_frames_own_edge() -> None:
    """What is compared lies a rim inside the window, or ends with the frame."""
    engine = TorchEngine(tower_of(LITE_CROP, read_weights(LITE_CROP.tower).tensors), LITE_CROP)
    view = View(
        Lens(512, 16, 1.0, level_light=True),
        Bank(np.full((4, 152), 152**-0.5, dtype=np.float32)),
        np.ones((60, 80), dtype=np.float32),
    )
    (look,) = look_again(engine, frame_of(frame(3)), [Window(0, 100, 256, 256)], view, settings=LITE_CROP)
    assert look.window == Window(0, 100 + RIM_PX, 256 - RIM_PX, 256 - 2 * RIM_PX)
    assert look.relative.shape == ((256 - 2 * RIM_PX) // 8, (256 - RIM_PX) // 8)


def test_a_look_changes_the_map_under_its_window_and_nowhere_else() -> None:
    """It has half of the say in the middle, and less towards the rim."""
    place = np.ones((128, 160), dtype=np.float32)
    blended = blend_back(place, Window(400, 400, 192, 192), np.full((24, 24), 5.0, dtype=np.float32), FRAME)
    assert blended[62, 62] == pytest.approx(3.0)
    assert 1.0 < blended[50, 62] < 2.0
    outside = blended.copy()
    outside[50:74, 50:74] = 1.0
    assert (outside == 1.0).all()


def test_only_doubtful_pictures_are_looked_at_again_and_a_high_peak_counts() -> None:
    """Below the band and far above it the coarse score stands."""
    view = View(
        Lens(512, 16, 1.0, level_light=True), Bank(np.eye(4, dtype=np.float32)), np.ones((2, 2), dtype=np.float32)
    )
    crops = Crops(view, 1.0, 4.0, Scale(1.0, 0.5), Scale(2.0, 0.25))
    assert [crops.doubts(score) for score in (0.9, 1.0, 4.0, 4.1)] == [False, True, True, False]
    assert crops.score(2.0, []) == pytest.approx(2.0)
    assert crops.score(2.0, [2.0, 3.0]) > crops.score(2.0, [2.0, 2.1]) > crops.score(1.0, [2.0])


def test_a_calm_second_look_makes_no_step_in_the_score() -> None:
    """However calm the finer look, a higher coarse score is never a lower score, and the band's end is no cliff."""
    view = View(
        Lens(512, 16, 1.0, level_light=True), Bank(np.eye(4, dtype=np.float32)), np.ones((2, 2), dtype=np.float32)
    )
    crops = Crops(view, 1.0, 7.0, Scale(1.0, 0.5), Scale(2.0, 0.25))
    coarse = np.linspace(1.0, 8.0, 141)
    scores = np.asarray([crops.score(raw, [2.0] if crops.doubts(raw) else []) for raw in coarse.tolist()])
    assert (np.diff(scores) > 0).all()
    assert np.diff(scores).max() < 1.0


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Keep torch to one core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_a_short_scratch_in_a_large_frame_raises_the_score_of_a_saved_model(tmp_path: Path) -> None:
    """The model that was saved and loaded scores every scratched frame above every good one."""
    good = tmp_path / "discs" / "train" / "good"
    good.mkdir(parents=True)
    for index in range(12):
        cv2.imwrite(str(good / f"{index:02d}.png"), frame(index))
    settings = replace(LITE_CROP, sides_px=(256,), map_side_px=256, bank_size=256)
    train([tmp_path / "discs"], profile=settings).save(tmp_path / "model")
    model = artifact.load(tmp_path / "model")
    assert model.product.crops is not None
    sound, scratched = (
        [one.raw_score for one in model.inspect([frame(50 + seed, scratch=bad) for seed in range(3)])]
        for bad in (False, True)
    )
    assert min(scratched) > max(sound)
    assert model.without_crops().product.crops is None
