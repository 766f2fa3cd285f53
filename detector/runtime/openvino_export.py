"""From the model's torch graph to OpenVINO's files; int8 by NNCF's quantisation after training."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Final

import torch

from detector.runtime.openvino_engine import GRAPH
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


def write_openvino(
    graph: Graph,
    example: torch.Tensor,
    folder: Path,
    *,
    any_size: bool,
    canvases: Sequence[NDArray[np.float32]] = (),
) -> None:
    """Write a graph's files into `folder`; quantised to int8 on good pictures' `canvases`, if there are any.

    `example` is a batch (1, H, W, 3); with `any_size` the graph takes other sizes too.
    """
    shape = [1, -1, -1, 3] if any_size else list(example.shape)
    with warnings.catch_warnings(), torch.no_grad():
        # It warns that branches are kept as they were: they hang on a ratio of sizes that is always the same.
        warnings.simplefilter("ignore")
        model = openvino.convert_model(graph.eval(), example_input=example, input=shape)
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
    # A depthwise convolution's channels are of very different ranges: in int8 they cost most of the loss.
    depthwise = [node.get_friendly_name() for node in model.get_ops() if node.get_type_name() == "GroupConvolution"]
    return nncf.quantize(
        model,
        dataset,
        ignored_scope=nncf.IgnoredScope(names=depthwise) if depthwise else None,
        subset_size=min(len(canvases), MOST_CANVASES),
        # Attention keeps its own pattern of what is quantised.
        model_type=nncf.ModelType.TRANSFORMER if transformer else None,
    )
