"""Who takes part in the benchmarks of speed: one model on each of its engines, each in a process of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from deploy.speed.recipe import AS_BUILT, Recipe
from deploy.speed.side import Side
from deploy.speed.worker import Worker, working
from detector.export.folder import exported
from detector.model.artifact import read
from detector.runtime.base import COMPILED, EXPORTED, OPENVINO, OPENVINO_BF16, OPENVINO_INT8, TORCH
from detector.runtime.graph import Graph, example
from detector.runtime.openvino_engine import check_processor
from detector.runtime.openvino_export import write_openvino
from detector.runtime.openvino_silent import the_core
from shared.errors import ConfigError, EngineError
from shared.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from deploy.speed.frame import Frame

UNGATED: Final = (OPENVINO, OPENVINO_INT8)
"""What a model with random weights is exported for: no gate could say anything of it."""


@contextmanager
def contenders(
    folder: Path,
    frames: Sequence[Frame],
    *,
    threads: int,
    names: Sequence[str],
    on_progress: Callable[[str, int, int], None],
    gated: bool = True,
    as_built: bool = True,
) -> Iterator[list[Worker[Side]]]:
    """Yield the model of `folder` on torch, on each engine that it was exported for, and first on torch `as_built`.

    Each is in a process of its own and waits for its turns. `names` picks some of all engines, `compiled` among them,
    which nobody waits for who did not ask; without it those that this processor has no instructions for are left out.
    Unless they are `gated`, the engines are those of `UNGATED`, made for the purpose. The errors of `load_with`.
    """
    known = (TORCH, COMPILED, *EXPORTED)
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(f"there is no engine {unknown[0]!r}", f"Choose from: {', '.join(known)}.")
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="linewarden-engines-")))
        wanted = names or [name for name in (exported(folder) if gated else UNGATED) if _runs_here(name)]
        if gated:
            others = [Recipe(name, folder, threads) for name in wanted if name != TORCH]
        else:
            some = [name for name in wanted if name in UNGATED]
            others = [Recipe(name, folder, threads, _ungated(folder, scratch, name)) for name in some]
        built = [AS_BUILT, TORCH] if as_built else [TORCH]
        recipes = [*(Recipe(name, folder, threads) for name in built), *others]
        found = []
        for done, recipe in enumerate(recipes):
            on_progress("engines", done, len(recipes))
            found.append(stack.enter_context(working(recipe.name, Side, recipe, frames)))
        on_progress("engines", len(recipes), len(recipes))
        yield found


def _runs_here(name: str) -> bool:
    try:
        check_processor(the_core(), name)
    except EngineError as error:
        get_logger("bench").warning("engine.left_out", engine=name, problem=str(error))
        return False
    return True


def _ungated(folder: Path, scratch: Path, name: str) -> Path:
    """Return the place in `scratch` to which an engine's files were written; int8 is fitted to noise."""
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
    return place


def cosine(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    """Return the mean cosine of two encoders' patches, (rows, columns, D) each, place by place."""
    a, b = (rows.reshape(-1, rows.shape[-1]).astype(np.float64) for rows in (ours, theirs))
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(((a * b).sum(axis=1) / np.maximum(lengths, 1e-12)).mean())
