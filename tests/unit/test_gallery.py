"""The training pictures that a model keeps: which, how small, and which of them a part is nearest to."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from detector.model import artifact
from detector.model.bank import Bank
from detector.model.lens import Lens
from detector.model.patch_model import PatchModel
from detector.model.view import View
from detector.training import gallery
from detector.training.fit import train
from detector.training.goods import Goods, read_goods
from shared.evidence import Golden
from tests.plates import plate, write_plates

NO_LENS = Lens(64, 16, 1.0, level_light=False)


def unit(*rows: list[float]) -> NDArray[np.float32]:
    """Return rows of unit length."""
    values = np.asarray(rows, dtype=np.float32)
    return np.asarray(values / np.linalg.norm(values, axis=1, keepdims=True), dtype=np.float32)


def view(sources: list[int]) -> View:
    """Return a view whose bank's rows come from these pictures."""
    rows = np.full((len(sources), 4), 0.5, dtype=np.float32)
    return View(NO_LENS, Bank(rows, np.asarray(sources, dtype=np.int32)), np.ones((2, 2), dtype=np.float32))


def goods_of(folder: Path) -> Goods:
    """Read the good pictures of a set."""
    return read_goods(folder, lambda _done, _total: None)


def test_the_picture_of_the_nearest_patches_is_named() -> None:
    """Most of the patches decide; of a tie the nearer picture; the distance is that of the nearest patch."""
    bank = Bank(unit([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]), np.asarray([4, 7, 7], dtype=np.int32))
    found = bank.nearest(unit([0.9, 0.1, 0.0], [0.0, 1.0, 0.1], [0.0, 0.1, 1.0]))
    assert found is not None
    assert found[0] == 7
    tied = bank.nearest(unit([1.0, 0.0, 0.0], [0.2, 1.0, 0.0]))
    assert tied is not None
    assert tied[0] == 4
    assert tied[1] == pytest.approx(0.0, abs=1e-6)


def test_rows_whose_picture_is_not_kept_are_passed_over() -> None:
    """The next nearest one that can be shown is named; without any, none."""
    rows = unit([1.0, 0.0], [0.8, 0.6], [0.0, 1.0])
    bank = Bank(rows, np.asarray([-1, 3, 5], dtype=np.int32))
    found = bank.nearest(unit([1.0, 0.0]))
    assert found is not None
    assert found[0] == 3
    assert found[1] == pytest.approx(0.2, abs=1e-6)
    assert Bank(rows, np.full(3, -1, dtype=np.int32)).nearest(rows) is None
    assert Bank(rows).nearest(rows) is None


def test_of_too_many_those_stay_that_say_the_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By how many of the bank's patches are theirs; the banks name them by their new numbers."""
    monkeypatch.setattr(gallery, "MOST_PICTURES", 2)
    goods = goods_of(write_plates(tmp_path, good=4))
    kept, (first, second) = gallery.with_gallery(goods, [view([0, 2, 2, 3, 3, 3, 1]), view([0, 1, 2, 3])])
    assert kept.names == ("002.png", "003.png")
    assert kept.pictures == 4
    assert first.bank.sources is not None
    assert second.bank.sources is not None
    assert first.bank.sources.tolist() == [-1, 0, 0, 1, 1, 1, -1]
    assert second.bank.sources.tolist() == [-1, -1, 0, 1]


def test_their_bytes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as fit, none if the first does not."""
    goods = goods_of(write_plates(tmp_path, good=4))
    whole, _ = gallery.with_gallery(goods, [view([0, 1, 2, 3])])
    assert len(whole.jpegs) == 4
    monkeypatch.setattr(gallery, "MOST_BYTES", len(whole.jpegs[0]) + len(whole.jpegs[1]))
    some, _ = gallery.with_gallery(goods, [view([0, 1, 2, 3])])
    assert some.jpegs == whole.jpegs[:2]
    monkeypatch.setattr(gallery, "MOST_BYTES", 10)
    none, (bare,) = gallery.with_gallery(goods, [view([0, 1, 2, 3])])
    assert none.jpegs == ()
    assert bare.bank.nearest(bare.bank.rows) is None


@pytest.mark.parametrize(
    ("height", "width", "shown"), [(96, 72, (96, 72)), (1_000, 800, (384, 307)), (50, 2_000, (10, 384))]
)
def test_they_are_small(height: int, width: int, shown: tuple[int, int]) -> None:
    """At most 384 pixels a side, in the same aspect ratio, and never larger than they were."""
    picture = np.full((height, width, 3), (200, 30, 10), dtype=np.uint8)
    found = cv2.imdecode(np.frombuffer(gallery.small_jpeg(picture), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert found is not None
    assert found.shape[:2] == shown
    assert np.abs(found.reshape(-1, 3).mean(axis=0) - (200, 30, 10)).max() < 3


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a tiny model once."""
    folder = tmp_path_factory.mktemp("gallery")
    train([write_plates(folder / "plates")]).save(folder / "model")
    return folder / "model"


def golden_of(model: PatchModel, picture: NDArray[np.uint8]) -> Golden:
    """Return the training picture that the model shows beside this one."""
    (found,) = model.inspect([picture])
    assert found.golden is not None
    golden = found.golden()
    assert golden is not None
    return golden


def test_a_trained_model_shows_a_good_part_beside_a_spoilt_one(model_folder: Path) -> None:
    """One of those that it was trained on; a part that it knows is nearer to its own than a spoilt one to any."""
    model = artifact.load(model_folder)
    assert model.product.gallery is not None
    assert model.product.gallery.pictures == 14
    names = model.product.gallery.names
    spoilt, known = (golden_of(model, picture) for picture in (plate(101, hole=True), plate(3)))
    assert spoilt.name in names
    assert spoilt.jpeg == model.product.gallery.jpegs[names.index(spoilt.name)]
    shown = cv2.imdecode(np.frombuffer(spoilt.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    assert shown.shape == (72, 96, 3)
    assert known.distance <= spoilt.distance
