"""From the model's torch graph to OpenVINO's files; int8 by NNCF's quantisation after training."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Final

import torch

from detector.runtime.openvino_engine import GRAPH
from detector.runtime.openvino_mixed import lowered, strides
from detector.runtime.openvino_silent import openvino
from shared.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from detector.runtime.graph import Graph

MOST_CANVASES: Final = 128
"""More pictures tell the ranges of a tower's values no better."""
_COARSE_PX: Final = 8
_BETWEEN: Final = frozenset(
    {"Add", "Concat", "Divide", "Interpolate", "Maximum", "Multiply", "Pad", "ReduceL2", "Subtract"}
)
"""What lies between the convolutions, and makes patches of their maps: it takes no time, and stays in float32."""
_TOWER: Final = "__module.visual."
"""What the names of the tower's layers begin with: where `Graph` has it."""


def write_openvino(
    graph: Graph,
    example: torch.Tensor,
    folder: Path,
    *,
    any_size: bool,
    bf16: bool = False,
    canvases: Sequence[NDArray[np.float32]] = (),
) -> None:
    """Write a graph's files into `folder`; quantised to int8 on good pictures' `canvases`, if there are any.

    `example` is a batch (1, H, W, 3); with `any_size` the graph takes other sizes too. With `bf16` the coarse layers of
    a convolutional tower are in bfloat16; a transformer's graph stays as it is, for the engine to run in bfloat16.
    """
    shape = [1, -1, -1, 3] if any_size else list(example.shape)
    with warnings.catch_warnings(), torch.no_grad():
        # It warns that branches are kept as they were: they hang on a ratio of sizes that is always the same.
        warnings.simplefilter("ignore")
        model = openvino.convert_model(graph.eval(), example_input=example, input=shape)
    if bf16 and any_size:
        model = lowered(model, example.shape, within=_TOWER)
    if canvases:
        model = _quantised(model, canvases, transformer=not any_size)
    openvino.save_model(model, folder / GRAPH, compress_to_fp16=False)


def _quantised(model: openvino.Model, canvases: Sequence[NDArray[np.float32]], *, transformer: bool) -> openvino.Model:
    try:
        import nncf
    except ModuleNotFoundError:
        raise EngineError(
            "int8 needs the package 'nncf', which is not installed",
            "Install it with: pip install 'linewarden[engines]'.",
        ) from None
    nncf.set_log_level(logging.ERROR)
    dataset = nncf.Dataset([canvas[None] for canvas in canvases[:MOST_CANVASES]])
    if transformer:
        # Attention keeps its own pattern of what is quantised.
        chosen = {"model_type": nncf.ModelType.TRANSFORMER}
    else:
        present = {node.get_type_name() for node in model.get_ops()}
        ignored = nncf.IgnoredScope(names=_left_whole(model, canvases[0].shape), types=sorted(_BETWEEN & present))
        chosen = {"ignored_scope": ignored, "preset": nncf.QuantizationPreset.MIXED}
    return nncf.quantize(model, dataset, subset_size=min(len(canvases), MOST_CANVASES), **chosen)


def _left_whole(model: openvino.Model, canvas: Sequence[int]) -> list[str]:
    """Return the names of the convolutions that int8 would cost too much: see ADR 0031.

    They look at finer maps than coarse ones, or are depthwise: of those the channels' ranges differ most.
    """
    names = [name for name, stride in strides(model, (1, *canvas)).items() if stride < _COARSE_PX]
    return names + [node.get_friendly_name() for node in model.get_ops() if node.get_type_name() == "GroupConvolution"]
