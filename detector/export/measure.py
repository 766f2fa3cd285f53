"""What the gate looks at: two engines of one model over the same pictures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import spearmanr

from detector.evaluation.metrics import PixelCounts, rank_pixels, rank_scores
from detector.export.gate import Parity
from detector.pictures.files import read_picture
from detector.pictures.labelled import GOOD, resize_mask
from detector.pictures.sets import list_good, list_test, read_test
from detector.training.goods import evenly
from detector.training.synthesis.base import Canvas
from detector.training.synthesis.foreground import find_foreground
from detector.training.synthesis.synthesise import synthesise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from detector.model.base import Inspection
    from detector.model.patch_model import PatchModel

MOST_GOOD = 48
"""Of so many good pictures each is looked at as it is, and spoilt."""
_SEED = 0
_POINTS = 100.0


@dataclass(frozen=True, slots=True, eq=False)
class _Shown:
    """A picture, whether it is defective, and where, if that is known."""

    picture: NDArray[np.uint8]
    defective: bool
    mask: NDArray[np.bool_] | None


@dataclass(frozen=True, slots=True, eq=False)
class _Set:
    """What is shown to both engines, and how many pictures that are."""

    source: str
    shown: Iterator[_Shown]
    total: int


@dataclass(slots=True, eq=False)
class _Side:
    """What one engine said of the pictures."""

    raws: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    pixels: PixelCounts = field(default_factory=PixelCounts.empty)

    def add(self, shown: _Shown, found: Inspection) -> None:
        self.raws.append(found.raw_score)
        self.scores.append(found.score)
        if shown.mask is not None:
            values = found.anomaly_map.values
            self.pixels = self.pixels + PixelCounts.of(
                values, resize_mask(shown.mask, (values.shape[0], values.shape[1]))
            )


def on_labelled(folder: Path, reference: PatchModel, other: PatchModel, on_done: Callable[[int, int], None]) -> Parity:
    """Return the two engines' parity on a set's test pictures; DataError names what the folder lacks."""
    total = len(list_test(folder))
    shown = (_Shown(sample.picture, sample.file.defect != GOOD, sample.mask) for sample in read_test(folder))
    return _measure(_Set("labelled", shown, total), reference, other, on_done)


def on_spoilt(folder: Path, reference: PatchModel, other: PatchModel, on_done: Callable[[int, int], None]) -> Parity:
    """Return the two engines' parity on a set's good pictures, as they are and spoilt; DataError if it has none."""
    paths = evenly(list_good(folder), MOST_GOOD)
    return _measure(_Set("spoilt", _spoilt(paths), 2 * len(paths)), reference, other, on_done)


def _spoilt(paths: list[Path]) -> Iterator[_Shown]:
    rng = np.random.default_rng(_SEED)
    for index, path in enumerate(paths):
        picture = read_picture(path)
        yield _Shown(picture, defective=False, mask=np.zeros(picture.shape[:2], dtype=np.bool_))
        made = synthesise(Canvas(picture, find_foreground(picture), [read_picture(paths[index - 1])]), rng)
        yield _Shown(made.picture, defective=bool(made.mask.any()), mask=made.mask)


def _measure(pictures: _Set, reference: PatchModel, other: PatchModel, on_done: Callable[[int, int], None]) -> Parity:
    sides = (_Side(), _Side())
    defective, masked = [], True
    for done, one in enumerate(pictures.shown, start=1):
        defective.append(one.defective)
        masked = masked and not (one.defective and one.mask is None)
        for side, model in zip(sides, (reference, other), strict=True):
            side.add(one, model.inspect([one.picture])[0])
            # Which graph looks at which picture is the same each time.
            model.engine.settle()
        on_done(done, pictures.total)
    labels = np.asarray(defective, dtype=np.bool_)
    aurocs = [rank_scores(labels, np.asarray(side.raws)).auroc for side in sides]
    ranks = [rank_pixels(side.pixels) if masked else None for side in sides]
    aps = [None if rank is None else rank.average_precision for rank in ranks]
    moved = np.asarray(sides[1].scores) - np.asarray(sides[0].scores)
    return Parity(
        product=reference.product.name,
        source=pictures.source,
        pictures=len(defective),
        rank_correlation=float(spearmanr(sides[0].raws, sides[1].raws).statistic),
        image_auroc=aurocs[1],
        image_auroc_lost=_POINTS * (aurocs[0] - aurocs[1]),
        pixel_ap=aps[1],
        pixel_ap_lost=None if aps[0] is None or aps[1] is None else _POINTS * (aps[0] - aps[1]),
        good_score_moved=float(moved[~labels].mean()),
    )
