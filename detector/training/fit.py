"""Train a model on good pictures: references for each product, heads for all of them, and calibrations."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from detector.model.artifact import TrainedModel, TrainingFacts
from detector.model.artifact_files import FORMAT_VERSION
from detector.model.backbone.assemble import tower_of
from detector.model.backbone.weights import read_weights
from detector.model.calibration import fit_calibration
from detector.model.fusion import fuse, scale_of, sized
from detector.model.head_shape import REFINER
from detector.model.lens import lenses_for
from detector.model.product import Product
from detector.model.profiles import Profile, profile_named
from detector.model.scoring import image_score
from detector.pictures.files import files_sha256
from detector.runtime.eager import TorchEngine
from detector.training.checkpoints import Checkpoints
from detector.training.crops import Coarse, fit_crops
from detector.training.gallery import with_gallery
from detector.training.goods import read_goods
from detector.training.heads import learn_heads
from detector.training.pool import Bench
from detector.training.reference import FOLDS, refer
from shared.clock import NS_PER_S, SystemClock
from shared.domain import Effort
from shared.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from detector.model.fusion import Scale
    from detector.model.heads import Ensemble
    from detector.runtime.base import Engine
    from detector.training.goods import Goods
    from detector.training.reference import Reference
    from shared.clock import Clock

_REGION_QUANTILE = 0.98
# With fewer pictures a half of them is too little to learn from.
_FEWEST_FOR_HEADS = 4


def train(
    folders: Sequence[Path],
    *,
    profile: str | Profile = "lite",
    seed: int = 0,
    on_progress: Callable[[str, int, int], None] | None = None,
    weights: str | None = None,
    clock: Clock | None = None,
    checkpoints: Checkpoints | None = None,
) -> TrainedModel:
    """Train one model on the good pictures of one or several sets, each a product of its folder's name, unsaved.

    `weights` names other weights than the packaged ones, see `read_weights`. `on_progress` is told the step's name,
    how much of it is done and how much there is. A training that was broken off goes on from its `checkpoints`.
    DataError names what a folder lacks or the file that is no picture.
    """
    report = on_progress or _silent
    settings = profile_named(profile) if isinstance(profile, str) else profile
    sets = _read_sets(folders, report)
    fewest = min(sets, key=lambda goods: len(goods.paths))
    if settings.heads and len(fewest.paths) < _FEWEST_FOR_HEADS:
        if len(sets) > 1:
            raise DataError(
                f"{fewest.product} has {len(fewest.paths)} good pictures, which are too few to learn heads from",
                f"Give at least {_FEWEST_FOR_HEADS} of each product, or train it by itself, on the bank alone.",
            )
        settings = settings.on_the_bank_alone()
    source = read_weights(settings.tower, weights, settings.canvas)
    engine = TorchEngine(tower_of(settings, source.tensors), settings)
    sets = [goods.within_memory(engine, lenses_for(goods.sizes, settings)[-1], settings) for goods in sets]
    kept = (checkpoints or Checkpoints(None)).opened(
        {
            "format": FORMAT_VERSION,
            "settings": asdict(settings),
            "sets": [files_sha256(goods.paths) for goods in sets],
            "weights": source.source_sha256,
            "seed": seed,
        }
    )
    references = [refer(engine, goods, settings, seed=seed, report=report) for goods in sets]
    ensembles: tuple[Ensemble, ...] = ()
    logits: list[list[list[NDArray[np.float32]]]] = [[] for _ in sets]
    if settings.heads:
        benches = [Bench(engine, reference, settings) for reference in references]
        ensembles, logits = learn_heads(benches, source.text, seed=seed, checkpoints=kept, report=report)
    created_ns = (clock or SystemClock()).utc_ns()
    return TrainedModel(
        settings=settings,
        tower={name: tensor.numpy() for name, tensor in source.tensors.items()},
        ensembles=ensembles,
        products=tuple(
            _calibrate(engine, reference, found, settings, seed=seed, report=report)
            for reference, found in zip(references, logits, strict=True)
        ),
        facts=tuple(
            TrainingFacts(len(goods.paths), files_sha256(goods.paths), FOLDS, reference.held.floor)
            for goods, reference in zip(sets, references, strict=True)
        ),
        weights_sha256=source.source_sha256,
        seed=seed,
        created_utc=datetime.fromtimestamp(created_ns // NS_PER_S, tz=UTC).isoformat(),
    )


def _read_sets(folders: Sequence[Path], report: Callable[[str, int, int], None]) -> list[Goods]:
    sets: list[Goods] = []
    for folder in folders:
        goods = read_goods(folder, partial(report, f"{folder.name}: read"))
        if any(goods.product == other.product for other in sets):
            raise DataError(f"two sets are called {goods.product!r}", "Give sets whose folders have different names.")
        sets.append(goods)
    return sets


def _calibrate(
    engine: Engine,
    reference: Reference,
    logits: Sequence[Sequence[NDArray[np.float32]]],
    settings: Profile,
    *,
    seed: int,
    report: Callable[[str, int, int], None],
) -> Product:
    """Return the product with its scales and calibration; `logits` are each head's for each good picture, held out."""
    parts = [list(reference.held.maps)]
    parts += [[sized(found, size) for found, size in zip(head, reference.sizes, strict=True)] for head in logits]
    scales = [scale_of(maps) for maps in parts]
    once = _look(parts, scales, settings)
    again = fit_crops(engine, reference, once, scales, settings, seed=seed, report=report)
    highest = [look.highest for look in once] if again is None else again.highest
    gallery, views = with_gallery(reference.goods, reference.views)
    whole = Product(
        name=reference.goods.product,
        views=views,
        scales=tuple(scales),
        map_lens=reference.map_lens,
        calibration=fit_calibration(_scores(once) if again is None else again.scores),
        region_level=float(np.quantile(highest, _REGION_QUANTILE)),
        crops=None if again is None else again.crops,
        gallery=gallery,
    )
    lesser: dict[Effort, list[Coarse]] = {}
    if whole.crops is not None or REFINER in settings.heads:
        lesser[Effort.UNREFINED] = _look(parts, scales, settings.at(Effort.UNREFINED))
    if len(whole.views) > 1:
        lesser[Effort.COARSE] = _look([list(reference.coarse), *parts[1:]], scales, settings.at(Effort.COARSE))
    products = {
        effort: whole.at(
            effort,
            fit_calibration(_scores(looks)),
            float(np.quantile([look.highest for look in looks], _REGION_QUANTILE)),
        )
        for effort, looks in lesser.items()
    }
    return replace(whole, lesser=products)


def _look(parts: Sequence[Sequence[NDArray[np.float32]]], scales: Sequence[Scale], settings: Profile) -> list[Coarse]:
    """Return what the bank's and the heads' held-out maps give of each good picture, without a second look."""
    asked = [scales[index] for index in settings.asked]
    maps = [fuse(found, asked, settings) for found in zip(*(parts[index] for index in settings.asked), strict=True)]
    return [Coarse(found, image_score(found.score, settings.top_share)) for found in maps]


def _scores(looks: Sequence[Coarse]) -> NDArray[np.float64]:
    return np.asarray([look.score for look in looks], dtype=np.float64)


def _silent(_step: str, _done: int, _total: int) -> None:
    """Report nothing."""
