"""What one product's good pictures look like: its views, and every picture against banks that have not seen it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from detector.model.bank import Bank
from detector.model.expected import expected_distances, on_one_grid
from detector.model.lens import lens_for, lenses_for
from detector.model.product import coarsest
from detector.model.view import View
from detector.training.crossfit import bank_of, cross_fit, held_out_distances, relate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from detector.model.lens import Lens, Size
    from detector.model.profiles import Profile
    from detector.runtime.base import Engine
    from detector.training.crossfit import Folded, HeldOut
    from detector.training.goods import Goods

FOLDS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """A product's views and held-out maps. `sizes` are the maps', `folded` is of the first view, which heads read.

    `coarse` are the held-out maps of the coarsest view alone.
    """

    goods: Goods
    views: tuple[View, ...]
    folded: Folded
    held: HeldOut
    coarse: tuple[NDArray[np.float32], ...]
    map_lens: Lens
    sizes: tuple[Size, ...]


def refer(
    engine: Engine, goods: Goods, settings: Profile, *, seed: int, report: Callable[[str, int, int], None]
) -> Reference:
    """Fit a product's views; the features of one are gone when the next one's are made."""
    lenses = lenses_for(goods.sizes, settings)
    fitted = [_fit_view(engine, goods, lens, settings, seed=seed, report=report) for lens in lenses]
    map_lens = lens_for(goods.sizes, settings.map_side_px, settings.multiple_px, level_light=False)
    sizes = tuple(map_lens.content(size) for size in goods.sizes)
    held = cross_fit([folded.distances for _, folded in fitted], sizes, settings)
    views = tuple(
        View(lens, bank, expected) for lens, (bank, _), expected in zip(lenses, fitted, held.expected, strict=True)
    )
    coarse = relate([fitted[coarsest(views)][1].distances], sizes, held.floor).maps
    return Reference(goods, views, fitted[0][1], held, coarse, map_lens, sizes)


def _fit_view(
    engine: Engine, goods: Goods, lens: Lens, settings: Profile, *, seed: int, report: Callable[[str, int, int], None]
) -> tuple[Bank, Folded]:
    """Return one view's bank and its held-out distances; its features are gone when it returns."""
    name = f"{goods.product} at {lens.side_px} px"
    total = len(goods.paths)
    features = goods.features(engine, lens, settings, lambda done: report(f"{name}: features", done, total))
    relit = goods.relit(engine, lens, settings)
    return fit_bank(name, features, relit, settings.bank_size, seed=seed, report=report)


def fit_bank(
    name: str,
    features: Sequence[NDArray[np.float32]],
    relit: Sequence[NDArray[np.float32]],
    size: int,
    *,
    seed: int,
    report: Callable[[str, int, int], None],
) -> tuple[Bank, Folded]:
    """Return a bank of all pictures' features, (rows, columns, D) each, and their held-out distances.

    `relit` are the same pictures in other lights, (gains, rows, columns, D) each, or none: the bank knows them too.
    """
    folded = held_out_distances(
        features,
        relit,
        folds=FOLDS,
        bank_size=size,
        seed=seed,
        on_fold=lambda done: report(f"{name}: held out", done, FOLDS),
    )
    bank = bank_of([*features, *relit], size, seed)
    # A picture in another light comes from the same file.
    return Bank(bank.rows, None if bank.sources is None else bank.sources % len(features)), folded


def view_of(lens: Lens, bank: Bank, folded: Folded, floor: float) -> View:
    """Return a view that trusts a patch's place as far as `floor` says."""
    return View(lens, bank, expected_distances(on_one_grid(folded.distances), floor))
