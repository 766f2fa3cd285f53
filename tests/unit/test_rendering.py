from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from ingest.rendering.conveyor import GOOD, SMALLEST_DEFECT_PX, Conveyor, ConveyorSettings, write_dataset
from ingest.rendering.defects import DEFECT_NAMES
from shared.errors import ConfigError, DataError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SMALL = ConveyorSettings(seed=7, width_px=320, height_px=240)
DETECTOR_SIDE_PX = 256


@pytest.fixture(scope="module")
def conveyor() -> Conveyor:
    """Return a belt at the default size."""
    return Conveyor(ConveyorSettings(seed=7))


@pytest.fixture(scope="module")
def small() -> Conveyor:
    """Return a belt with small frames."""
    return Conveyor(SMALL)


def _averaged(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the pixels as a detector's square input would hold them."""
    side = (DETECTOR_SIDE_PX, DETECTOR_SIDE_PX)
    return np.asarray(cv2.resize(pixels.astype(np.float32), side, interpolation=cv2.INTER_AREA))


def test_the_same_number_is_the_same_part(small: Conveyor) -> None:
    """Two conveyors of one seed show the same pixels, mask and label for a number, in whatever order it is asked."""
    other = Conveyor(SMALL)
    other.render(4)
    for label in (None, GOOD, "scratch"):
        first, second = small.render(3, label), other.render(3, label)
        assert first.label == second.label
        assert np.array_equal(first.pixels, second.pixels)
        assert np.array_equal(first.mask, second.mask)


def test_another_number_is_another_part(small: Conveyor) -> None:
    """Two good parts differ nearly everywhere: pose, light, grain and noise."""
    first, second = small.render(1, GOOD).pixels, small.render(2, GOOD).pixels
    assert np.mean((first != second).any(axis=2)) > 0.9


def test_another_seed_is_another_belt(small: Conveyor) -> None:
    """The seed changes the picture of the same number."""
    other = Conveyor(ConveyorSettings(seed=8, width_px=320, height_px=240))
    assert not np.array_equal(small.render(1, GOOD).pixels, other.render(1, GOOD).pixels)


def test_a_drawn_label_shows_what_it_names(small: Conveyor) -> None:
    """A part with a drawn label is the part with that label given."""
    for number in range(12):
        drawn = small.render(number)
        given = small.render(number, small.label_of(number))
        assert drawn.label == given.label == small.label_of(number)
        assert np.array_equal(drawn.pixels, given.pixels)


def test_a_good_part_has_an_empty_mask(conveyor: Conveyor) -> None:
    """A good part is a well exposed RGB picture and marks no pixel."""
    part = conveyor.render(5, GOOD)
    assert part.pixels.shape == (480, 640, 3)
    assert part.pixels.dtype == part.mask.dtype == np.uint8
    assert part.pixels.flags.c_contiguous
    assert not part.mask.any()
    assert 40 < part.pixels.mean() < 160
    assert np.mean(part.pixels == 255) < 0.02


@pytest.mark.parametrize("label", DEFECT_NAMES)
def test_a_defect_changes_exactly_its_mask(conveyor: Conveyor, label: str) -> None:
    """Outside its mask a defective part is the good part of the same number, and inside it differs."""
    for number in range(100, 112):
        good, bad = conveyor.render(number, GOOD), conveyor.render(number, label)
        assert bad.label == label
        assert set(np.unique(bad.mask)) == {0, 255}
        assert np.count_nonzero(bad.mask) >= SMALLEST_DEFECT_PX
        assert np.count_nonzero(bad.mask) < 0.06 * bad.mask.size
        inside = bad.mask > 0
        assert np.array_equal(good.pixels[~inside], bad.pixels[~inside])
        assert np.mean((good.pixels[inside] != bad.pixels[inside]).any(axis=1)) > 0.8


@pytest.mark.parametrize("label", DEFECT_NAMES)
def test_a_defect_lies_on_the_part(conveyor: Conveyor, label: str) -> None:
    """No defect touches the belt's surroundings: its mask keeps clear of the frame's border."""
    for number in range(200, 212):
        rows, columns = np.nonzero(conveyor.render(number, label).mask)
        assert 40 < rows.min() <= rows.max() < 440
        assert 80 < columns.min() <= columns.max() < 560


@pytest.mark.parametrize("label", DEFECT_NAMES)
def test_a_detector_can_see_every_defect(conveyor: Conveyor, label: str) -> None:
    """Averaged down to a detector's input, a defect still stands out of the sensor's noise."""
    for number in range(300, 312):
        good, bad = conveyor.render(number, GOOD), conveyor.render(number, label)
        assert np.abs(_averaged(bad.pixels) - _averaged(good.pixels)).max() > 12.0


def test_a_scratch_is_long_enough(conveyor: Conveyor) -> None:
    """The box around a scratch is at least about 60 pixels from corner to corner at 640x480."""
    for number in range(30):
        rows, columns = np.nonzero(conveyor.render(number, "scratch").mask)
        assert np.hypot(np.ptp(rows), np.ptp(columns)) > 50.0


@pytest.mark.parametrize(("width_px", "height_px"), [(160, 120), (1280, 1024), (301, 500)])
def test_everything_scales_with_the_frame(width_px: int, height_px: int) -> None:
    """Any frame size gives frames of that size in which every defect shows."""
    conveyor = Conveyor(ConveyorSettings(width_px=width_px, height_px=height_px))
    for label in (GOOD, *DEFECT_NAMES):
        part = conveyor.render(0, label)
        assert part.pixels.shape == (height_px, width_px, 3)
        assert part.mask.shape == (height_px, width_px)
        assert part.mask.any() == (label != GOOD)


def test_the_defect_rate_is_kept(small: Conveyor) -> None:
    """Over a thousand parts the share of defects is the rate, and each defect gets its share of them."""
    labels = [small.label_of(number) for number in range(1000)]
    bad = [label for label in labels if label != GOOD]
    assert 0.11 < len(bad) / len(labels) < 0.19
    assert set(bad) == set(DEFECT_NAMES)


@pytest.mark.parametrize(("rate", "expected"), [(0.0, {GOOD}), (1.0, {"dent"})])
def test_a_rate_at_its_end_is_certain(rate: float, expected: set[str]) -> None:
    """A rate of 0 never draws a defect and a rate of 1 always does, from the named ones alone."""
    conveyor = Conveyor(ConveyorSettings(width_px=160, height_px=120, defect_rate=rate, defects=("dent",)))
    assert {conveyor.label_of(number) for number in range(50)} == expected


def test_an_unknown_defect_is_refused(small: Conveyor) -> None:
    """A wrong name, in the settings or for one part, is answered with the known names."""
    with pytest.raises(ConfigError, match="missing_hole"):
        ConveyorSettings(defects=("rust",))
    with pytest.raises(ConfigError, match="missing_hole"):
        small.render(0, "rust")


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_a_rate_that_is_no_share_is_refused(rate: float) -> None:
    """A defect rate outside 0 to 1 is refused."""
    with pytest.raises(ConfigError, match="defect rate"):
        ConveyorSettings(defect_rate=rate)


def test_impossible_settings_are_refused(small: Conveyor) -> None:
    """A negative seed or number, a tiny frame and a rate without defects are refused, each by name."""
    with pytest.raises(ConfigError, match="seed"):
        ConveyorSettings(seed=-1)
    with pytest.raises(ConfigError, match="64x480"):
        ConveyorSettings(width_px=64)
    with pytest.raises(ConfigError, match="no defects"):
        ConveyorSettings(defects=())
    with pytest.raises(ConfigError, match="negative"):
        small.render(-1)


def test_a_data_set_has_the_layout_of_mvtec(tmp_path: Path) -> None:
    """Pictures lie by split and label, every defect has its mask of the same size, and progress counts them all."""
    heard: list[int] = []
    settings = ConveyorSettings(width_px=160, height_px=120, defects=("dent", "chip"))
    folder = tmp_path / "new" / "bracket"
    write_dataset(folder, settings, train_good=3, test_good=2, test_each_defect=2, on_progress=heard.append)
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    assert names == [
        *(f"ground_truth/{label}/{index:03d}_mask.png" for label in ("chip", "dent") for index in range(2)),
        *(f"test/{label}/{index:03d}.png" for label in ("chip", "dent", "good") for index in range(2)),
        *(f"train/good/{index:03d}.png" for index in range(3)),
    ]
    assert heard == list(range(1, 10))
    for label in ("chip", "dent"):
        mask = cv2.imread(str(folder / "ground_truth" / label / "001_mask.png"), cv2.IMREAD_UNCHANGED)
        assert mask is not None
        assert mask.shape == (120, 160)
        assert set(np.unique(mask)) == {0, 255}


def test_a_data_set_shows_no_part_twice(tmp_path: Path) -> None:
    """Train, test and a belt of the same seed share no picture, and the files hold RGB in the right order."""
    settings = ConveyorSettings(width_px=160, height_px=120, defects=("stain",))
    write_dataset(tmp_path, settings, train_good=2, test_good=2, test_each_defect=1)
    pictures = {path: path.read_bytes() for path in tmp_path.rglob("*.png")}
    assert len(set(pictures.values())) == len(pictures)
    belt = Conveyor(settings).render(0, GOOD).pixels
    stored = cv2.imread(str(tmp_path / "train" / "good" / "000.png"))
    assert stored is not None
    assert not np.array_equal(stored[..., ::-1], belt)
    # The belt is bluish: a swap of red and blue would show in its corner.
    assert stored[:15, :15, 0].mean() > stored[:15, :15, 2].mean()


def test_a_used_folder_is_refused(tmp_path: Path) -> None:
    """A folder with anything in it, or a file in its place, is left as it is."""
    kept = tmp_path / "kept.txt"
    kept.write_text("mine")
    for place in (tmp_path, kept):
        with pytest.raises(DataError, match="not an empty folder"):
            write_dataset(place, SMALL, train_good=1, test_good=0, test_each_defect=0)
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]
