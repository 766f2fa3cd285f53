"""The search in a bank as a part of an OpenVINO graph: first by int8, then again for what matters.

Rows and patches quantised to int8 take an eighth of the bytes and two fifths of the time. A picture's score is of its
highest few places: those are compared again in float32, with the rows that int8 finds nearest. A distance can come out
larger by that than it is, and never smaller.

That is for processors that multiply int8 by instructions of their own. On others products overflow, so that cosines
come out lower by up to .13, and float32 takes two thirds of the time: there the one search is in float32.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from detector.runtime.openvino_silent import openvino, ops

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from detector.runtime.openvino_graphs import Graphs

# A piece's similarities to 1024 patches fit into a core's second-level cache, and are read while they do.
_ROWS_AT_ONCE = 256
# So many similarities are kept until it is known which of them are looked at again.
_KEPT = 1 << 20
# Of so many rows that int8 finds nearest one is: its errors are far less than what lies between the first few.
_NEAREST = 8
_BEYOND = 2.0
_LEVELS = 256
_HIGHEST = 127


class OpenvinoSearch:
    """The search in one bank."""

    def __init__(self, graphs: Graphs, *, exact: bool) -> None:
        self._graphs = graphs
        self.exact = exact

    def __call__(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the highest cosine, (n,) float32, of each of the patches (n, D): exact, or right to about 0.003."""
        (found,) = self._graphs.infer(patches)
        return found


def search_graph(rows: NDArray[np.float32], *, exact: bool) -> openvino.Model:
    """Return the graph from patches (n, D) to their highest cosines, (n,), with the rows (K, D)."""
    patches = ops.parameter([-1, rows.shape[1]], np.float32, name="patches")
    alike = (ExactRows(rows) if exact else CoarseRows(rows)).alike(patches.output(0))
    return openvino.Model([highest(alike)], [patches], "search")


class ExactRows:
    """A bank's unit rows (K, D) in a graph, as they are."""

    def __init__(self, rows: NDArray[np.float32]) -> None:
        self._pieces = [
            ops.constant(rows[start : start + _ROWS_AT_ONCE]) for start in range(0, len(rows), _ROWS_AT_ONCE)
        ]

    def alike(self, patches: openvino.Output) -> list[openvino.Node]:
        """Return the cosines of patches (n, D) with each piece's rows, (n, k)."""
        return [ops.matmul(patches, piece, False, True) for piece in self._pieces]


class CoarseRows:
    """A bank's unit rows (K, D) in a graph, quantised to int8, each with a scale of its own.

    The patches have one scale for all, from the rows' largest value: good patches are as large as the rows, and of
    others the excess is cut off, which makes their distance larger. Few `patches` are compared with all rows at once,
    others, and where nobody knows how many there will be, with a piece of the rows after the other.
    """

    def __init__(self, rows: NDArray[np.float32], patches: int | None = None) -> None:
        self._rows = rows
        self._whole = patches is not None and patches * len(rows) <= _KEPT
        largest = max(float(np.abs(rows).max()), 1e-6)
        self._low, self._high = np.float32(-largest * (_HIGHEST + 1) / _HIGHEST), np.float32(largest)
        step = len(rows) if self._whole else _ROWS_AT_ONCE
        self._pieces = [_coarse(rows[start : start + step]) for start in range(0, len(rows), step)]

    def alike(self, patches: openvino.Output) -> list[openvino.Node]:
        """Return the cosines of patches (n, D) with each piece's rows, (n, k), right to about 0.003."""
        coarse = ops.fake_quantize(patches, self._low, self._high, self._low, self._high, _LEVELS)
        # No cosine is cut off: without a clamp, OpenVINO would scale those that are read twice in a step of its own.
        return [ops.clamp(ops.matmul(coarse, piece, False, True), -_BEYOND, _BEYOND) for piece in self._pieces]

    def highest_again(
        self, alike: Sequence[openvino.Node], some: openvino.Output, places: openvino.Output
    ) -> openvino.Output:
        """Return the highest cosine, (m,), of `some` patches (m, D) in float32, with the rows that int8 finds nearest.

        `alike` is what `alike` gave for all patches, of which these are at `places` (m,). To compare them with all rows
        would read the whole bank once more, which takes longer than the first search; so would a second one by int8,
        which is for banks whose similarities to all patches are too many to be kept.
        """
        first = ops.constant(np.int32(0))
        cosines = ops.gather(alike[0], places, first) if self._whole else ops.concat(self.alike(some), 1)
        count = ops.constant(np.int32(min(_NEAREST, len(self._rows))))
        nearest = ops.topk(cosines, count, 1, "max", "none").output(1)
        rows = ops.gather(ops.constant(self._rows), nearest, first)
        products = ops.multiply(rows, ops.unsqueeze(some, np.array([1])))
        return ops.reduce_max(ops.reduce_sum(products, np.array([2]), False), np.array([1]), False).output(0)


def highest(alike: Sequence[openvino.Node]) -> openvino.Output:
    """Return the highest cosine (n,) of each patch, of what `CoarseRows.alike` gave."""
    return reduce(ops.maximum, [ops.reduce_max(some, np.array([1]), False) for some in alike]).output(0)


def _coarse(rows: NDArray[np.float32]) -> openvino.Node:
    scale = np.maximum(np.abs(rows).max(axis=1, keepdims=True), 1e-6) / _HIGHEST
    steps = ops.constant(np.rint(rows / scale).astype(np.int8))
    return ops.multiply(ops.convert(steps, np.float32), ops.constant(scale.astype(np.float32)))
