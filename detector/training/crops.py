"""Fitting the second look: a bank at the finer magnification, and how good pictures' windows score against it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from detector.model.crops import Crops, blend_back, find_windows, frame_of, look_again
from detector.model.fusion import Scale, in_units_of_the_map
from detector.model.lens import Lens, median_side_px
from detector.pictures.files import read_picture
from detector.training.goods import Goods, evenly
from detector.training.reference import fit_bank, view_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from detector.model.fusion import Maps
    from detector.model.profiles import Profile
    from detector.runtime.base import Engine
    from detector.training.reference import Reference

# The features of so many frames of 1280 x 1024 fill half a GiB.
_PATCHES = 1_000_000
_FEWEST_FRAMES = 12
# A finer look than this many times the coarse one's magnification, or none.
_WORTH = 1.3
# A frame has many more places than its coarse picture.
_ROWS_FOR_ONE = 4
# The half of good pictures that score lowest, and what lies beyond doubt, are not looked at again.
_DOUBT_FROM_QUANTILE = 0.5
_BEYOND_DOUBT = 12.0


@dataclass(frozen=True, slots=True, eq=False)
class FittedCrops:
    """The crops, and every good picture's score and highest map value with them, both (n,) float64."""

    crops: Crops
    scores: NDArray[np.float64]
    highest: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Coarse:
    """What the coarse look gave of one picture."""

    maps: Maps
    score: float

    @property
    def highest(self) -> float:
        """The highest value of the map."""
        return float(self.maps.place.max())


def fit_crops(
    engine: Engine,
    reference: Reference,
    coarse: Sequence[Coarse],
    scales: Sequence[Scale],
    settings: Profile,
    *,
    seed: int,
    report: Callable[[str, int, int], None],
) -> FittedCrops | None:
    """Return the crops of a product; None if its frames hold no more than the model already sees.

    `coarse` is of every good picture, held out, and `scales` are those of the fusion. A window is compared with a bank
    that has not seen its picture.
    """
    goods = reference.goods
    lens = _finer_lens(goods, reference.views[-1].lens, settings)
    if lens is None or len(goods.paths) < _FEWEST_FRAMES:
        return None
    chosen = _chosen(goods, lens, settings)
    features = []
    for done, path in enumerate(chosen.paths, start=1):
        frame = frame_of(read_picture(path))
        features.append(engine.see([frame.canvas(frame.whole, settings)])[0].patches)
        report(f"{chosen.product}: features", done, len(chosen.paths))
    rows = _ROWS_FOR_ONE * settings.bank_size
    bank, folded = fit_bank(chosen.product, features, [], rows, seed=seed, report=report)
    del features
    view = view_of(lens, bank, folded, reference.held.floor)
    folds = {path: int(fold) for path, fold in zip(chosen.paths, folded.fold_of, strict=True)}
    raws = np.asarray([first.score for first in coarse], dtype=np.float64)
    scale = _scale(raws)
    doubt_from = float(np.quantile(raws, _DOUBT_FROM_QUANTILE))
    peaks: list[float | None] = []
    highest = []
    for done, (path, size, first) in enumerate(zip(goods.paths, goods.sizes, coarse, strict=True), start=1):
        place, found = first.maps.place, None
        if first.score >= doubt_from:
            frame = frame_of(read_picture(path))
            unseen = folded.banks[folds[path]] if path in folds else bank
            windows = find_windows(first.maps.score, size, settings.crop_side_px, settings.crops_most)
            looks = look_again(engine, frame, windows, view, settings=settings, bank=unseen)
            found = max(look.peak for look in looks)
            for look in looks:
                place = blend_back(place, look.window, in_units_of_the_map(look.relative, scales, settings), size)
        peaks.append(found)
        highest.append(float(place.max()))
        report(f"{goods.product}: second look", done, len(goods.paths))
    crops = Crops(
        view,
        doubt_from,
        scale.mean + _BEYOND_DOUBT * scale.deviation,
        scale,
        _scale(np.asarray([peak for peak in peaks if peak is not None])),
    )
    scores = [crops.score(float(raw), [] if peak is None else [peak]) for raw, peak in zip(raws, peaks, strict=True)]
    return FittedCrops(crops, np.asarray(scores, dtype=np.float64), np.asarray(highest, dtype=np.float64))


def _finer_lens(goods: Goods, coarse: Lens, settings: Profile) -> Lens | None:
    """Return the camera's own magnification as a lens; None if the coarse one is about as fine."""
    native = median_side_px(goods.sizes)
    if not settings.crop_side_px or coarse.magnification * _WORTH > 1.0:
        return None
    return Lens(round(native), settings.multiple_px, 1.0, settings.level_light)


def _chosen(goods: Goods, lens: Lens, settings: Profile) -> Goods:
    """Return as many pictures, spread evenly, as their features fit into memory."""
    patches = (lens.side_px / settings.grid_stride_px) ** 2
    count = max(_FEWEST_FRAMES, int(_PATCHES / patches))
    paths = evenly(goods.paths, count)
    known = dict(zip(goods.paths, goods.sizes, strict=True))
    return Goods(f"{goods.product}, full resolution", tuple(paths), tuple(known[path] for path in paths))


def _scale(values: NDArray[np.float64]) -> Scale:
    return Scale(float(values.mean()), max(float(values.std()), 1e-6))
