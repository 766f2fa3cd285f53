"""Train a model on good pictures: features once, a bank, and a calibration on held-out scores."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import torch

from detector.model.artifact import TrainedModel, TrainingFacts
from detector.model.backbone import build_tower, packaged_weights, read_checkpoint
from detector.model.calibration import MINIMUM_PICTURES, fit_calibration
from detector.model.features import extract
from detector.model.preprocess import Size, canvas_for
from detector.model.profiles import profile_named
from detector.training.crossfit import GoodPatches, cross_fit
from detector.training.pictures import files_sha256, list_pictures, read_picture
from shared.clock import NS_PER_S, SystemClock
from shared.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from detector.model.backbone import Tower
    from detector.model.preprocess import Placement
    from detector.model.profiles import Profile
    from shared.clock import Clock

_FOLDS = 5
_BATCH = 8
_REGION_QUANTILE = 0.98


def train(
    folder: Path,
    *,
    profile: str = "lite",
    seed: int = 0,
    on_progress: Callable[[str, int, int], None] | None = None,
    weights: Path | None = None,
    clock: Clock | None = None,
) -> TrainedModel:
    """Train on `<folder>/train/good` and return the model, unsaved.

    `weights` is a local checkpoint of the tower instead of the packaged one. `on_progress` is told the step's name,
    how much of it is done and how much there is. DataError names what the folder lacks or the file that is no picture.
    """
    report = on_progress or _silent
    settings = profile_named(profile)
    paths = list_pictures(folder / "train" / "good")
    if len(paths) < MINIMUM_PICTURES:
        raise DataError(
            f"{folder / 'train' / 'good'} holds {len(paths)} pictures",
            f"Training and calibration need at least {MINIMUM_PICTURES} good ones, better 100.",
        )
    checkpoint = read_checkpoint(weights or packaged_weights(), settings.tower)
    tower = build_tower(settings.tower, checkpoint.tensors)
    canvas = _measure(paths, settings, report)
    good = _read_features(tower, paths, canvas, settings, report)
    held_out = cross_fit(good, folds=_FOLDS, seed=seed, on_fold=lambda done, all_: report("calibrate", done, all_))
    bank = good.bank(np.arange(len(paths)), seed)
    report("bank", 1, 1)
    created_ns = (clock or SystemClock()).utc_ns()
    return TrainedModel(
        settings=settings,
        canvas=canvas,
        trunk=checkpoint.tensors,
        bank_rows=bank.rows,
        expected=held_out.expected,
        calibration=fit_calibration(held_out.scores),
        region_level=float(np.quantile(held_out.peaks, _REGION_QUANTILE)),
        facts=TrainingFacts(
            pictures=len(paths),
            data_sha256=files_sha256(paths),
            weights_sha256=checkpoint.source_sha256,
            seed=seed,
            folds=_FOLDS,
            expected_floor=held_out.floor,
            created_utc=datetime.fromtimestamp(created_ns // NS_PER_S, tz=UTC).isoformat(),
        ),
    )


def _measure(paths: Sequence[Path], settings: Profile, report: Callable[[str, int, int], None]) -> Size:
    """Read every picture once for its size: a file that is no picture is found before any work is done."""
    sizes = []
    for done, path in enumerate(paths, start=1):
        height, width = read_picture(path).shape[:2]
        sizes.append(Size(height, width))
        report("read", done, len(paths))
    return canvas_for(sizes, settings)


def _read_features(
    tower: Tower, paths: Sequence[Path], canvas: Size, settings: Profile, report: Callable[[str, int, int], None]
) -> GoodPatches:
    """Extract the features of all pictures, a batch of them in memory at a time."""
    parts: list[torch.Tensor] = []
    placements: list[Placement] = []
    for start in range(0, len(paths), _BATCH):
        pictures = [read_picture(path) for path in paths[start : start + _BATCH]]
        features, placed = extract(tower, pictures, canvas, settings)
        parts.append(features)
        placements += placed
        report("features", len(placements), len(paths))
    return GoodPatches(torch.cat(parts), placements, canvas, settings)


def _silent(_step: str, _done: int, _total: int) -> None:
    """Report nothing."""
