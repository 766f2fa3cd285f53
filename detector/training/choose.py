"""Choosing the magnifications of a model's views by defects made in held-out good pictures."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import cv2
import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from detector.model.features import extract
from detector.model.lens import Lens, Size, lens_for
from detector.model.scoring import blurred, combine, image_score
from detector.pictures.files import read_picture
from detector.training.crossfit import bank_of
from detector.training.goods import evenly
from detector.training.synthesis.base import Canvas
from detector.training.synthesis.foreground import find_foreground
from detector.training.synthesis.synthesise import synthesise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from detector.model.backbone.tower import Tower
    from detector.model.profiles import Profile
    from detector.training.goods import Goods

# More would tell views apart that differ by less than one picture in fifty.
_TRIED_PICTURES = 48
_BANK_PICTURES = 64
# A further view must be worth its time.
_PRICE_OF_A_VIEW = 0.005


@dataclass(frozen=True, slots=True, eq=False)
class _Trial:
    """A picture to tell good from spoilt, and where it is spoilt, (H, W) bool."""

    picture: NDArray[np.uint8]
    mask: NDArray[np.bool_]


def choose_lenses(
    tower: Tower, goods: Goods, settings: Profile, seed: int, on_done: Callable[[int, int], None]
) -> tuple[Lens, ...]:
    """Return the profile's magnifications, some or all, that find made defects best.

    Banks of half of the pictures look at the other half, as they are and spoilt. No defect that anybody labelled takes
    part. Every candidate sees the same trials.
    """
    options = [
        lens_for(goods.sizes, side, settings.multiple_px, level_light=settings.level_light)
        for side in settings.sides_px
    ]
    if len(options) == 1:
        return tuple(options)
    map_lens = lens_for(goods.sizes, settings.map_side_px, settings.multiple_px, level_light=False)
    trials = list(_trials(goods, seed))
    sizes = [map_lens.content(Size(*trial.mask.shape)) for trial in trials]
    grids = {}
    for done, lens in enumerate(options, start=1):
        grids[lens] = _grids(tower, goods, lens, settings, trials, seed=seed)
        on_done(done, len(options))

    def worth(lenses: tuple[Lens, ...]) -> float:
        merit = _merit([grids[lens] for lens in lenses], trials, sizes, settings)
        return merit - _PRICE_OF_A_VIEW * len(lenses)

    return max(_subsets(options), key=worth)


def _subsets(options: Sequence[Lens]) -> Iterator[tuple[Lens, ...]]:
    for count in range(1, len(options) + 1):
        yield from combinations(options, count)


def _trials(goods: Goods, seed: int) -> Iterator[_Trial]:
    """Yield the odd pictures, each as it is and spoilt."""
    for index, path in enumerate(evenly(goods.paths[1::2], _TRIED_PICTURES)):
        rng = np.random.default_rng([seed, index])
        picture = read_picture(path)
        others = [read_picture(goods.paths[int(other)]) for other in rng.integers(len(goods.paths), size=2)]
        made = synthesise(Canvas(picture, find_foreground(picture), others), rng)
        yield _Trial(picture, np.zeros(made.mask.shape, dtype=np.bool_))
        if made.mask.any():
            yield _Trial(made.picture, made.mask)


def _grids(
    tower: Tower, goods: Goods, lens: Lens, settings: Profile, trials: Sequence[_Trial], *, seed: int
) -> list[NDArray[np.float32]]:
    """Return each trial's distances from a bank of the even pictures, over their mean on good ones."""
    chosen = evenly(goods.paths[::2], _BANK_PICTURES)
    bank = bank_of([extract(tower, read_picture(path), lens, settings) for path in chosen], settings.bank_size, seed)
    found = [bank.distances(extract(tower, trial.picture, lens, settings)).numpy() for trial in trials]
    usual = float(np.mean([grid.mean() for grid, trial in zip(found, trials, strict=True) if not trial.mask.any()]))
    return [np.asarray(grid / max(usual, 1e-6), dtype=np.float32) for grid in found]


def _merit(
    grids: Sequence[Sequence[NDArray[np.float32]]], trials: Sequence[_Trial], sizes: Sequence[Size], settings: Profile
) -> float:
    """Return how well views tell made defects from good: the mean of image AUROC and pixel AP."""
    scores, values, marks = [], [], []
    for index, (trial, size) in enumerate(zip(trials, sizes, strict=True)):
        found = blurred(combine([view[index] for view in grids], size), settings.blur_sigma_px)
        scores.append(image_score(found, settings.top_share))
        mask = cv2.resize(trial.mask.astype(np.uint8), (size.width_px, size.height_px), interpolation=cv2.INTER_NEAREST)
        values.append(found[::2, ::2].ravel())
        marks.append(mask[::2, ::2].ravel() > 0)
    spoilt = [bool(trial.mask.any()) for trial in trials]
    auroc = float(roc_auc_score(spoilt, scores))
    return 0.5 * auroc + 0.5 * float(average_precision_score(np.concatenate(marks), np.concatenate(values)))
