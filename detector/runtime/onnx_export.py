"""From the model's torch graph to an ONNX file, by torch's own exporter."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Final

import torch

from detector.runtime.onnx_engine import GRAPH, INPUT

if TYPE_CHECKING:
    from pathlib import Path

    from detector.runtime.graph import Graph

_OPSET: Final = 18


def write_onnx(graph: Graph, example: torch.Tensor, folder: Path, *, any_size: bool) -> None:
    """Write a graph's file into `folder`; with `any_size` it takes other canvases than those of the `example`'s size.

    It is traced, which takes six seconds; torch's newer exporter took four minutes for `lite`, to the same graph.
    """
    with warnings.catch_warnings(), torch.no_grad():
        # It warns that branches are kept as they were: they hang on a ratio of sizes that is always the same.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph.eval(),
            (example,),
            str(folder / GRAPH),
            dynamo=False,
            input_names=[INPUT],
            dynamic_axes={INPUT: {1: "height", 2: "width"}} if any_size else None,
            opset_version=_OPSET,
        )
