"""Train a model on good pictures: choose the views, a bank for each, and a calibration on held-out scores."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from detector.model.artifact import TrainedModel, TrainedView, TrainingFacts
from detector.model.backbone.tower import build_tower
from detector.model.backbone.weights import read_weights
from detector.model.calibration import MINIMUM_PICTURES, fit_calibration
from detector.model.lens import lens_for
from detector.model.profiles import profile_named
from detector.model.refinement import Refinement, fuse, plain, scale_of, sized
from detector.model.scoring import image_score
from detector.pictures.files import files_sha256
from detector.training.choose import choose_lenses
from detector.training.crossfit import bank_of, cross_fit, held_out_distances
from detector.training.goods import read_goods
from detector.training.pool import Bench, good_items, spoilt_items
from detector.training.refine import HALVES, half_of, learn_refiner, logits_of
from shared.clock import NS_PER_S, SystemClock
from shared.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import torch
    from numpy.typing import NDArray

    from detector.model.backbone.tower import Tower
    from detector.model.lens import Lens, Size
    from detector.model.profiles import Profile
    from detector.model.refiner import Refiner
    from detector.training.crossfit import Folded
    from detector.training.goods import Goods
    from shared.clock import Clock

_FOLDS = 5
_REGION_QUANTILE = 0.98
_REFINED_VIEW = 0


def train(
    folder: Path,
    *,
    profile: str = "lite",
    seed: int = 0,
    on_progress: Callable[[str, int, int], None] | None = None,
    weights: str | None = None,
    clock: Clock | None = None,
) -> TrainedModel:
    """Train on a set's good pictures and return the model, unsaved.

    `weights` names other weights than the packaged ones, see `read_weights`. `on_progress` is told the step's name,
    how much of it is done and how much there is. DataError names what the folder lacks or the file that is no picture.
    """
    report = on_progress or _silent
    settings = profile_named(profile)
    goods = read_goods(folder, lambda done, total: report("read", done, total))
    if len(goods.paths) < MINIMUM_PICTURES:
        raise DataError(
            f"{folder} holds {len(goods.paths)} good pictures to train on",
            f"Training and calibration need at least {MINIMUM_PICTURES} good ones, better 100.",
        )
    source = read_weights(settings.tower, weights)
    tower = build_tower(settings.tower, source.tensors)
    lenses = choose_lenses(tower, goods, settings, seed, lambda done, total: report("choose views", done, total))
    views = [_fit_view(tower, goods, lens, settings, seed=seed, report=report) for lens in lenses]
    map_lens = lens_for(goods.sizes, settings.map_side_px, settings.multiple_px, level_light=False)
    sizes = [map_lens.content(size) for size in goods.sizes]
    held = cross_fit([view.folded.distances for view in views], sizes, settings)
    refinement = None
    maps = [plain(values, settings) for values in held.maps]
    if settings.refine_stages:
        # The coarsest view leaves time for the most spoilt pictures.
        view = views[_REFINED_VIEW]
        bench = Bench(
            tower, goods, view.lens, settings, view.folded.banks, view.folded.fold_of, held.expected[_REFINED_VIEW]
        )
        refiners, logits = _learn_to_refine(bench, sizes, seed, report)
        scales = scale_of(held.maps), scale_of(logits)
        refinement = Refinement(_REFINED_VIEW, refiners, *scales)
        maps = [fuse(bank, fine, scales, settings) for bank, fine in zip(held.maps, logits, strict=True)]
    scores = np.asarray([image_score(found.score, settings.top_share) for found in maps], dtype=np.float64)
    created_ns = (clock or SystemClock()).utc_ns()
    return TrainedModel(
        settings=settings,
        tower=source.tensors,
        views=tuple(
            TrainedView(view.lens, view.bank_rows, expected)
            for view, expected in zip(views, held.expected, strict=True)
        ),
        refinement=refinement,
        map_lens=map_lens,
        calibration=fit_calibration(scores),
        region_level=float(np.quantile([found.place.max() for found in maps], _REGION_QUANTILE)),
        facts=TrainingFacts(
            pictures=len(goods.paths),
            data_sha256=files_sha256(goods.paths),
            weights_sha256=source.source_sha256,
            seed=seed,
            folds=_FOLDS,
            expected_floor=held.floor,
            created_utc=datetime.fromtimestamp(created_ns // NS_PER_S, tz=UTC).isoformat(),
        ),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _FittedView:
    lens: Lens
    bank_rows: torch.Tensor
    folded: Folded


def _fit_view(
    tower: Tower, goods: Goods, lens: Lens, settings: Profile, *, seed: int, report: Callable[[str, int, int], None]
) -> _FittedView:
    """Return one view's bank and held-out distances; its features are gone when the next view's are made."""
    name = f"{lens.side_px} px"
    total = len(goods.paths)
    features = goods.features(tower, lens, settings, lambda done: report(f"features at {name}", done, total))
    folded = held_out_distances(
        features,
        folds=_FOLDS,
        bank_size=settings.bank_size,
        seed=seed,
        on_fold=lambda done: report(f"calibrate at {name}", done, _FOLDS),
    )
    return _FittedView(lens, bank_of(features, settings.bank_size, seed).rows, folded)


def _learn_to_refine(
    bench: Bench, sizes: Sequence[Size], seed: int, report: Callable[[str, int, int], None]
) -> tuple[tuple[Refiner, ...], list[NDArray[np.float32]]]:
    """Return the two refiners, and each good picture's logits at its map's size by the one that has not seen it."""
    total = len(bench.goods.paths)
    good = good_items(bench, lambda done: report("good pictures", done, total))
    spoilt = spoilt_items(bench, seed, lambda done, count: report("spoilt pictures", done, count))
    refiners = []
    for half in range(HALVES):
        name = f"refiner {half + 1}"
        refiner = learn_refiner(
            [item for item in good if half_of(item.picture, total) == half],
            [item for item in spoilt if half_of(item.picture, total) == half],
            bench.settings,
            seed + half,
            partial(report, name),
        )
        refiners.append(refiner)
    unseen = [refiners[1 - half_of(item.picture, total)] for item in good]
    logits = [sized(logits_of(refiner, item), size) for refiner, item, size in zip(unseen, good, sizes, strict=True)]
    return tuple(refiners), logits


def _silent(_step: str, _done: int, _total: int) -> None:
    """Report nothing."""
