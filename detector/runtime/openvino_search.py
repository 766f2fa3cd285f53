"""The search in a bank as a part of an OpenVINO graph: first by int8, then again for what matters.

Rows and patches quantised to int8 take an eighth of the bytes and two fifths of the time. A picture's score is of its
highest few places: those are searched for again, exactly.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from detector.runtime.openvino_silent import openvino, ops

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.runtime.openvino_graphs import Graphs

# A piece's similarities to 1024 patches fit into a core's second-level cache, and are read while they do.
_ROWS_AT_ONCE = 256
_LEVELS = 256
_HIGHEST = 127


class OpenvinoSearch:
    """The search in one bank."""

    exact = False

    def __init__(self, graphs: Graphs) -> None:
        self._graphs = graphs

    def __call__(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the highest cosine, (n,) float32, of each of the patches (n, D), right to about 0.003."""
        (found,) = self._graphs.infer(patches)
        return found


def search_graph(rows: NDArray[np.float32]) -> openvino.Model:
    """Return the graph from patches (n, D) to their highest cosines, (n,), with the rows (K, D)."""
    patches = ops.parameter([-1, rows.shape[1]], np.float32, name="patches")
    return openvino.Model([about_highest(patches.output(0), rows)], [patches], "search")


def about_highest(patches: openvino.Output, rows: NDArray[np.float32]) -> openvino.Output:
    """Return the highest cosine (n,) of patches (n, D) with the rows (K, D), both quantised to int8.

    A row has a scale of its own. The patches have one for all, from the rows' largest value: good patches are as large
    as the rows, and of others the excess is cut off, which makes their distance larger.
    """
    largest = max(float(np.abs(rows).max()), 1e-6)
    low, high = np.float32(-largest * (_HIGHEST + 1) / _HIGHEST), np.float32(largest)
    coarse = ops.fake_quantize(patches, low, high, low, high, _LEVELS)
    pieces = (rows[start : start + _ROWS_AT_ONCE] for start in range(0, rows.shape[0], _ROWS_AT_ONCE))
    return reduce(ops.maximum, [_about_highest_of(coarse, piece) for piece in pieces]).output(0)


def _about_highest_of(coarse: openvino.Node, rows: NDArray[np.float32]) -> openvino.Node:
    scale = np.maximum(np.abs(rows).max(axis=1, keepdims=True), 1e-6) / _HIGHEST
    steps = ops.constant(np.rint(rows / scale).astype(np.int8))
    weights = ops.multiply(ops.convert(steps, np.float32), ops.constant(scale.astype(np.float32)))
    return ops.reduce_max(ops.matmul(coarse, weights, False, True), np.array([1]), False)


def highest(patches: openvino.Output, rows: NDArray[np.float32]) -> openvino.Output:
    """Return the highest cosine (n,) of patches (n, D) with the rows (K, D), right but for rounding."""
    return ops.reduce_max(ops.matmul(patches, ops.constant(rows), False, True), np.array([1]), False).output(0)
