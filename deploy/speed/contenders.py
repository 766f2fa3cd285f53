"""Who takes part in `linewarden bench model`: one model on each of its engines, and what their answers have in common.

This is the one place of the benchmarks that knows how a model is put together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from deploy.speed.tracing import Span
from detector.model import patch_model
from detector.model.artifact import load
from detector.model.bank import Bank
from detector.model.calibration import Calibration
from detector.model.features import see
from detector.model.heads import Ensemble
from detector.model.lens import Lens, in_levels
from detector.model.patch_model import PatchModel
from detector.model.view import View

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from shared.domain import Picture
    from shared.settings import DetectorSettings

REFERENCE: Final = "torch"
"""What every other engine is measured against: torch as it is, in float32."""
ENCODER: Final = "encoder"


@dataclass(frozen=True, slots=True, eq=False)
class Contender:
    """A model on one engine."""

    name: str
    model: PatchModel

    def see(self, canvas: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the bare encoder's patches, (rows, columns, D) float32, of one input (H, W, 3) float32."""
        return see(self.model.tower, canvas, self.model.settings).patches.numpy()

    def spans(self) -> tuple[Span, ...]:
        """Return the functions that an inspection is made of."""
        return (
            Span(patch_model, "check_picture", "resize"),
            Span(patch_model, "in_levels", "resize"),
            Span(Lens, "look", "resize"),
            Span(patch_model, "see", ENCODER),
            Span(Bank, "distances", "bank"),
            Span(Bank, "differences", "bank"),
            Span(Ensemble, "logits", "heads"),
            Span(View, "relative", "map"),
            Span(View, "compare", "map"),
            Span(patch_model, "combine", "map"),
            Span(patch_model, "sized", "map"),
            Span(patch_model, "fuse", "map"),
            Span(patch_model, "image_score", "score"),
            Span(Calibration, "score", "score"),
            Span(patch_model, "find_regions", "regions"),
            Span(PatchModel, "_golden", "golden"),
            Span(PatchModel, "_again", "refinement", opaque=True),
        )


def contenders(folder: Path, *, threads: int, names: Sequence[str]) -> list[Contender]:
    """Return the model of `folder` on each of its engines that this machine has, the reference first.

    `names` picks some; without any all take part. The errors of `load`.
    """
    # SEAM: the engines' port comes here; until then there is the reference alone.
    torch.set_num_threads(threads)
    wanted = [REFERENCE, *(name for name in names if name != REFERENCE)]
    return [Contender(name, load(folder)) for name in wanted if name == REFERENCE]


def loaded(detector: DetectorSettings) -> PatchModel:
    """Return the model as the detector's role loads it; the errors of `load`."""
    # SEAM: with the engine that the settings choose.
    torch.set_num_threads(detector.threads)
    return load(detector.model, detector.product)


def canvas_of(model: PatchModel, picture: Picture) -> NDArray[np.float32]:
    """Return the encoder's input (H, W, 3) float32 of a picture, through the model's first view."""
    return model.product.views[0].lens.look(in_levels(picture), model.settings)


def views_of(model: PatchModel) -> int:
    """Return how often the encoder runs for a picture that nobody doubts."""
    return len(model.product.views) if 0 in model.settings.asked else 1


def cosine(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    """Return the mean cosine of two encoders' patches, (rows, columns, D) each, place by place."""
    a, b = (rows.reshape(-1, rows.shape[-1]).astype(np.float64) for rows in (ours, theirs))
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(((a * b).sum(axis=1) / np.maximum(lengths, 1e-12)).mean())
