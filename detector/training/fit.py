"""Train a model on good pictures: choose the views, a bank for each, and a calibration on held-out scores."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from detector.model.artifact import TrainedModel, TrainedView, TrainingFacts
from detector.model.backbone.tower import build_tower
from detector.model.backbone.weights import read_weights
from detector.model.calibration import MINIMUM_PICTURES, fit_calibration
from detector.model.lens import lens_for
from detector.model.profiles import profile_named
from detector.pictures.files import files_sha256
from detector.training.choose import choose_lenses
from detector.training.crossfit import bank_of, cross_fit, held_out_distances
from detector.training.goods import read_goods
from shared.clock import NS_PER_S, SystemClock
from shared.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import torch
    from numpy.typing import NDArray

    from detector.model.backbone.tower import Tower
    from detector.model.lens import Lens
    from detector.model.profiles import Profile
    from detector.training.goods import Goods
    from shared.clock import Clock

_FOLDS = 5
_REGION_QUANTILE = 0.98


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
    banks: list[torch.Tensor] = []
    distances: list[list[NDArray[np.float32]]] = []
    for lens in lenses:
        bank, held_out = _fit_view(tower, goods, lens, settings, seed=seed, report=report)
        banks.append(bank)
        distances.append(held_out)
    map_lens = lens_for(goods.sizes, settings.map_side_px, settings.multiple_px, level_light=False)
    held = cross_fit(distances, [map_lens.content(size) for size in goods.sizes], settings)
    created_ns = (clock or SystemClock()).utc_ns()
    return TrainedModel(
        settings=settings,
        tower=source.tensors,
        views=tuple(
            TrainedView(lens, bank, expected) for lens, bank, expected in zip(lenses, banks, held.expected, strict=True)
        ),
        map_lens=map_lens,
        calibration=fit_calibration(held.scores),
        region_level=float(np.quantile(held.peaks, _REGION_QUANTILE)),
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


def _fit_view(
    tower: Tower, goods: Goods, lens: Lens, settings: Profile, *, seed: int, report: Callable[[str, int, int], None]
) -> tuple[torch.Tensor, list[NDArray[np.float32]]]:
    """Return one view's bank rows and its held-out distances; its features are gone when the next view's are made."""
    name = f"{lens.side_px} px"
    total = len(goods.paths)
    features = goods.features(tower, lens, settings, lambda done: report(f"features at {name}", done, total))
    held_out = held_out_distances(
        features,
        folds=_FOLDS,
        bank_size=settings.bank_size,
        seed=seed,
        on_fold=lambda done: report(f"calibrate at {name}", done, _FOLDS),
    )
    return bank_of(features, settings.bank_size, seed).rows, held_out


def _silent(_step: str, _done: int, _total: int) -> None:
    """Report nothing."""
