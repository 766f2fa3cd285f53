"""ONNX Runtime: on the CPU, or on a GPU by its CUDA and TensorRT providers; the only place that imports it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import onnxruntime

from detector.runtime.base import ONNX, Seen
from detector.runtime.blas import BlasSearch
from detector.runtime.checks import check_canvas, finite
from detector.runtime.lanes import Lanes
from shared.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from detector.model.profiles import Profile
    from detector.model.view import View

GRAPH: Final = "graph.onnx"
INPUT: Final = "canvases"
PROVIDERS: Final = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}


class OnnxEngine:
    """A graph that `linewarden export` wrote, on so many threads, or on a GPU.

    Providers are tried in their order; the CPU takes what they cannot run.
    """

    name = ONNX

    def __init__(self, folder: Path, *, threads: int, providers: Sequence[str] = ("cpu",)) -> None:
        """Open the graph in `folder`; EngineError if it cannot be, or if a provider is not in this build."""
        self.lanes = Lanes()
        wanted = [PROVIDERS[name] for name in providers]
        missing = [one for one in wanted if one not in onnxruntime.get_available_providers()]
        if missing:
            raise EngineError(
                f"this ONNX Runtime has no {missing[0]}",
                "Install onnxruntime-gpu in place of onnxruntime, or leave detector.onnx_providers at cpu.",
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Its own threads would burn the cores that decoding needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                str(folder / GRAPH), options, providers=[*wanted, *([] if "cpu" in providers else [PROVIDERS["cpu"]])]
            )
        except Exception as error:  # its own exceptions have no common base but this
            raise EngineError(
                f"ONNX Runtime cannot open the graph in {folder}: {error}", "Export the model again."
            ) from error

    def see(self, canvases: Sequence[NDArray[np.float32]]) -> list[Seen]:
        """Return what the tower sees of each; see the port."""
        return [self._see(canvas) for canvas in canvases]

    def search(self, rows: NDArray[np.float32]) -> BlasSearch:
        """Return numpy's search."""
        return BlasSearch(rows)

    def sight(self, view: View, settings: Profile) -> None:
        """Do each step by itself."""

    def settle(self) -> None:
        """Make nothing beside."""

    def _see(self, canvas: NDArray[np.float32]) -> Seen:
        check_canvas(canvas)
        try:
            found = self._session.run(None, {INPUT: canvas[None]})
        except Exception as error:  # its own exceptions have no common base but this
            raise EngineError(f"ONNX Runtime failed on a canvas of {canvas.shape}: {error}") from error
        *levels, patches = (np.asarray(values, dtype=np.float32) for values in found)
        return Seen(tuple(level[0] for level in levels), finite(patches[0], self.name))
