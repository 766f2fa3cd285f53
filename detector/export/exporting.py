"""Export a model for another engine, through the gate, into the model's folder."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from detector.export.folder import keep, staged
from detector.export.measure import on_labelled, on_spoilt
from detector.model.artifact import read
from detector.pictures.files import read_picture
from detector.pictures.sets import list_good
from detector.runtime.base import EXPORTED, ONNX, OPENVINO_BF16, OPENVINO_INT8
from detector.runtime.eager import TorchEngine
from detector.runtime.graph import Graph, example
from detector.runtime.making import limit_torch, open_exported, prepare_process
from detector.training.goods import evenly
from shared.clock import NS_PER_S, SystemClock
from shared.errors import ConfigError, DataError, EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from detector.export.gate import Parity
    from detector.model.artifact import StoredModel
    from detector.model.product import Product
    from shared.clock import Clock

_CALIBRATED_ON: Final = 128
_PACKAGES: Final = {ONNX: ("torch", "onnxruntime")}


def export(
    model: Path,
    engine: str,
    *,
    good: Sequence[Path] = (),
    labelled: Sequence[Path] = (),
    threads: int = 1,
    report: Callable[[str, int, int], None] | None = None,
    clock: Clock | None = None,
) -> tuple[Parity, ...]:
    """Write what `engine` needs beside the model, and return what its gate measured on each set.

    A set is of the product that has its folder's name, or of the only one. It is measured on the `labelled` sets, or
    without any on the `good` ones, whose good pictures are also spoilt for it; int8 is fitted to good pictures of both.
    EngineError if the engine does not judge as the reference does: then nothing is written.
    """
    tell = report or _silent
    if engine not in EXPORTED:
        raise ConfigError(f"nothing is exported for an engine {engine!r}", f"Choose one of: {', '.join(EXPORTED)}.")
    stored = read(model)
    sets = [*((folder, True) for folder in labelled), *((folder, False) for folder in good if not labelled)]
    if not sets:
        raise DataError(
            "an export is measured on pictures, and none were given", "Give --good FOLDER or --labelled SET."
        )
    products = {folder: _product_of(stored, folder) for folder in (*labelled, *good)}
    limit_torch(threads)
    tower = stored.tower()
    reference = TorchEngine(tower, stored.settings)
    prepare_process(reference, threads)
    ensembles = stored.ensembles()
    with staged(model, engine) as staging:
        canvases = _canvases(stored, products) if engine == OPENVINO_INT8 else []
        _write(engine, Graph(tower, stored.settings), stored, staging, canvases)
        opened = open_exported(engine, staging, threads=threads)
        parity = []
        for folder, is_labelled in sets:
            product = products[folder]
            measure = on_labelled if is_labelled else on_spoilt
            parity.append(
                measure(
                    folder,
                    stored.running_on(reference, product, ensembles),
                    stored.running_on(opened, product, ensembles),
                    partial(tell, f"{product.name}: {engine}"),
                )
            )
        problems = [problem for one in parity if (problem := one.problem(engine)) is not None]
        if problems:
            raise EngineError(
                f"the engine {engine} does not judge as the reference does, and was not kept: {'; '.join(problems)}",
                "Choose another engine.",
            )
        created_ns = (clock or SystemClock()).utc_ns()
        facts = {
            "model_id": stored.model_id,
            "created_utc": datetime.fromtimestamp(created_ns // NS_PER_S, tz=UTC).isoformat(),
            "made_with": {name: version(name) for name in _PACKAGES.get(engine, ("torch", "openvino"))},
        }
        keep(staging, model, engine, facts=facts, parity=parity)
    return tuple(parity)


def _product_of(stored: StoredModel, folder: Path) -> Product:
    return stored.chosen(folder.resolve().name if len(stored.products) > 1 else None)


def _canvases(stored: StoredModel, products: dict[Path, Product]) -> list[NDArray[np.float32]]:
    """Return good pictures of each product as the tower is shown them, through each of its views."""
    found = []
    lenses = sum(len(product.views) for product in products.values())
    for folder, product in products.items():
        paths = evenly(list_good(folder), max(1, _CALIBRATED_ON // lenses))
        found += [view.lens.look(read_picture(path), stored.settings) for path in paths for view in product.views]
    return found


def _write(
    engine: str, graph: Graph, stored: StoredModel, folder: Path, canvases: Sequence[NDArray[np.float32]]
) -> None:
    shown = example(stored.settings)
    any_size = stored.settings.canvas is None
    try:
        if engine == ONNX:
            from detector.runtime.onnx_export import write_onnx

            write_onnx(graph, shown, folder, any_size=any_size)
        else:
            from detector.runtime.openvino_export import write_openvino

            bf16 = engine == OPENVINO_BF16
            write_openvino(graph, shown, folder, any_size=any_size, bf16=bf16, canvases=canvases)
    except ModuleNotFoundError as error:
        raise EngineError(
            f"to export for {engine} needs the package {error.name!r}, which is not installed",
            "Install it with: pip install 'linewarden[engines]'.",
        ) from None


def _silent(_step: str, _done: int, _total: int) -> None:
    """Report nothing."""
