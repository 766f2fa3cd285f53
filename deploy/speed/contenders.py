"""Who takes part in `linewarden bench model`: one model on each of its engines, and what their answers have in common.

This is the one place of the benchmarks that knows how a model is put together.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from deploy.speed.tracing import Span
from detector.export.folder import exported
from detector.model import patch_model
from detector.model.artifact import read
from detector.model.bank import Bank
from detector.model.calibration import Calibration
from detector.model.lens import Lens, in_levels
from detector.model.patch_model import PatchModel
from detector.model.view import View
from detector.runtime.base import COMPILED, EXPORTED, OPENVINO, OPENVINO_BF16, OPENVINO_INT8, TORCH
from detector.runtime.graph import Graph, example
from detector.runtime.making import load_with, open_exported
from detector.runtime.openvino_export import write_openvino
from shared.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from detector.runtime.base import Engine
    from shared.domain import Picture
    from shared.settings import DetectorSettings

ENCODER: Final = "encoder"
UNGATED: Final = (OPENVINO, OPENVINO_INT8)
"""What a model with random weights is exported for: no gate could say anything of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Contender:
    """A model on one engine."""

    name: str
    model: PatchModel

    def see(self, canvas: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the bare encoder's patches, (rows, columns, D) float32, of one input (H, W, 3) float32."""
        return self.model.engine.see([canvas])[0].patches

    def spans(self) -> tuple[Span, ...]:
        """Return the functions that an inspection is made of."""
        heads = {type(head) for head in self.model.ensembles}
        return (
            Span(patch_model, "check_picture", "resize"),
            Span(patch_model, "in_levels", "resize"),
            Span(Lens, "look", "resize"),
            Span(type(self.model.engine), "see", ENCODER),
            Span(Bank, "distances", "bank"),
            Span(Bank, "exact_distances", "bank"),
            Span(Bank, "differences", "bank"),
            *(Span(kind, "logits", "heads") for kind in heads),
            Span(View, "relative", "map"),
            Span(View, "compare", "map"),
            Span(patch_model, "combine", "map"),
            Span(patch_model, "smoothed", "map"),
            Span(patch_model, "sized", "map"),
            Span(patch_model, "fuse", "map"),
            Span(patch_model, "image_score", "score"),
            Span(Calibration, "score", "score"),
            Span(patch_model, "find_regions", "regions"),
            Span(PatchModel, "_golden", "golden"),
            Span(PatchModel, "_again", "refinement", opaque=True),
        )


@contextmanager
def contenders(folder: Path, *, threads: int, names: Sequence[str], gated: bool = True) -> Iterator[list[Contender]]:
    """Yield the model of `folder` on the reference and on each engine that it was exported for.

    `names` picks some of all engines, `compiled` among them, which nobody waits for who did not ask. Unless they are
    `gated`, the engines are those of `UNGATED`, made for the purpose. The errors of `load_with`.
    """
    cv2.setNumThreads(threads)
    known = (TORCH, COMPILED, *EXPORTED)
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(f"there is no engine {unknown[0]!r}", f"Choose from: {', '.join(known)}.")
    reference = Contender(TORCH, load_with(folder, engine=TORCH, threads=threads))
    with tempfile.TemporaryDirectory(prefix="linewarden-engines-") as scratch:
        if gated:
            wanted = names or exported(folder)
            others = [
                Contender(name, load_with(folder, engine=name, threads=threads)) for name in wanted if name != TORCH
            ]
        else:
            others = [_ungated(folder, Path(scratch), name, threads) for name in names or UNGATED if name in UNGATED]
        yield [reference, *others]


def _ungated(folder: Path, scratch: Path, name: str, threads: int) -> Contender:
    """Return a model on an engine whose files are written into `scratch`; int8 is fitted to noise."""
    stored = read(folder)
    place = scratch / name
    place.mkdir()
    shown = example(stored.settings)
    noise = np.random.default_rng(0)
    canvases = [noise.standard_normal(tuple(shown.shape[1:]), dtype=np.float32) for _ in range(16)]
    graph = Graph(stored.tower(), stored.settings)
    any_size = stored.settings.canvas is None
    fitted_to = canvases if name == OPENVINO_INT8 else ()
    write_openvino(graph, shown, place, any_size=any_size, bf16=name == OPENVINO_BF16, canvases=fitted_to)
    engine: Engine = open_exported(name, place, threads=threads)
    return Contender(name, stored.running_on(engine, stored.chosen(None)))


def loaded(detector: DetectorSettings) -> PatchModel:
    """Return the model as the detector's role loads it; the errors of `load_with`."""
    cv2.setNumThreads(detector.threads)
    return load_with(
        detector.model,
        detector.product,
        engine=detector.engine,
        threads=detector.threads,
        providers=detector.onnx_providers,
    )


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
