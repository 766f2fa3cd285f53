"""Which engine a model runs in, and the model in it. Each engine is imported only where it is used."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from detector.export.folder import check_export, exported
from detector.model.artifact import read
from detector.runtime.base import BUILT, COMPILED, EXPORTED, ONNX, TORCH
from detector.runtime.blas import limit_threads
from detector.runtime.heap import keep_freed_memory
from shared.errors import ConfigError, EngineError
from shared.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from detector.model.artifact import StoredModel
    from detector.model.patch_model import PatchModel
    from detector.model.product import Product
    from detector.runtime.base import Engine
    from shared.log import Logger

AUTO: Final = "auto"
ENGINES: Final = (AUTO, *BUILT, *EXPORTED)
_ROUNDS = 5
_WARM_UP = 4
_NS_PER_MS = 1e6


def load_with(
    model: Path,
    product: str | None = None,
    *,
    engine: str = AUTO,
    threads: int = 1,
    providers: Sequence[str] = ("cpu",),
    now_ns: Callable[[], int] = time.perf_counter_ns,
) -> PatchModel:
    """Load a model for one of its products in an engine; the errors of `artifact.load`.

    EngineError if the engine that was named was not exported for the model, failed its gate, or is not installed.
    `auto` takes the fastest of those that were exported and can run here, and torch where none can.
    """
    if engine not in ENGINES:
        raise ConfigError(f"there is no engine {engine!r}", f"Choose one of: {', '.join(ENGINES)}.")
    stored = read(model)
    chosen = stored.chosen(product)
    if engine in BUILT:
        return stored.running_on(_build(stored, engine, threads), chosen)
    if engine in EXPORTED:
        folder = check_export(model, stored.model_id, engine)
        return _in(stored, chosen, open_exported(engine, folder, threads=threads, providers=providers), threads)
    return _fastest(stored, chosen, threads=threads, providers=providers, now_ns=now_ns)


def open_exported(engine: str, folder: Path, *, threads: int, providers: Sequence[str] = ("cpu",)) -> Engine:
    """Return an engine on an export's files; EngineError if its package is missing, or it cannot run here."""
    try:
        if engine == ONNX:
            from detector.runtime.onnx_engine import OnnxEngine

            return OnnxEngine(folder, threads=threads, providers=providers)
        from detector.runtime.openvino_engine import OpenvinoEngine

        return OpenvinoEngine(folder, name=engine, threads=threads)
    except ModuleNotFoundError as error:
        extra = "engines" if engine == ONNX else "detector"
        raise EngineError(
            f"the engine {engine} needs the package {error.name!r}, which is not installed",
            f"Install it with: pip install 'linewarden[{extra}]'.",
        ) from None


def _fastest(
    stored: StoredModel, product: Product, *, threads: int, providers: Sequence[str], now_ns: Callable[[], int]
) -> PatchModel:
    log = get_logger("engines")
    able: list[PatchModel] = []
    for name in exported(stored.folder):
        try:
            folder = check_export(stored.folder, stored.model_id, name)
            able.append(
                _in(stored, product, open_exported(name, folder, threads=threads, providers=providers), threads)
            )
        except EngineError as error:
            log.warning("engine.refused", engine=name, problem=str(error))
    if not able:
        log.info("engine.chosen", engine=TORCH, model=stored.model_id)
        return stored.running_on(_build(stored, TORCH, threads), product)
    fastest = able[0] if len(able) == 1 else min(able, key=lambda model: _picture_ms(model, threads, now_ns, log))
    prepare_process(fastest.engine, threads)
    log.info("engine.chosen", engine=fastest.engine.name, model=stored.model_id)
    return fastest


def _picture_ms(model: PatchModel, threads: int, now_ns: Callable[[], int], log: Logger) -> float:
    """Return the least that a picture of the training pictures' size takes, in milliseconds."""
    prepare_process(model.engine, threads)
    lens = model.product.views[0].lens
    side = max(8, round(lens.side_px / lens.magnification))
    picture = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    for _ in range(_WARM_UP):
        model.inspect([picture])
    model.engine.settle()
    taken = []
    for _ in range(_ROUNDS):
        before = now_ns()
        model.inspect([picture])
        taken.append((now_ns() - before) / _NS_PER_MS)
    log.info("engine.measured", engine=model.engine.name, picture_ms=round(min(taken), 2))
    return min(taken)


def _build(stored: StoredModel, engine: str, threads: int) -> Engine:
    limit_torch(threads)
    built: Engine
    if engine == COMPILED:
        from detector.runtime.compiled import CompiledEngine

        built = CompiledEngine(stored.tower(), stored.settings)
    else:
        from detector.runtime.eager import TorchEngine

        built = TorchEngine(stored.tower(), stored.settings)
    prepare_process(built, threads)
    return built


def _in(stored: StoredModel, product: Product, engine: Engine, threads: int) -> PatchModel:
    """Return the model in an engine; heads run on torch, whatever the tower runs in."""
    prepare_process(engine, threads)
    if stored.shapes:
        limit_torch(threads)
        get_logger("engines").info("engine.heads", engine=engine.name, heads=TORCH)
    return stored.running_on(engine, product)


def prepare_process(engine: Engine, threads: int) -> None:
    """Leave OpenCV and numpy the threads that the engine has no use for, and keep freed memory, in the whole process.

    The threads are one where it works on several pictures side by side. They are one beside torch, too: its idle
    threads spin, and numpy's with them (47 and 10 pictures/s of `lite` on two cores).
    """
    keep_freed_memory()
    beside = 1 if engine.lanes.count > 1 or engine.name == TORCH else threads
    cv2.setNumThreads(beside)
    limit_threads(beside)


def limit_torch(threads: int) -> None:
    """Let torch use so many threads, in the whole process; more than there are cores cost dearly."""
    import torch

    torch.set_num_threads(threads)
