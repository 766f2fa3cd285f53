"""A whole look through one view as a single OpenVINO graph: light, tower, and the search in the view's bank.

Each step by itself is as fast elsewhere. In one graph nothing waits between two steps for Python, which several
pictures side by side take in turns, and a picture that is alone has all threads for each of them. The steps are those
of `lens.level`, `lens.normalised` and `view.relative_distances`, which serve all other engines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector.model.expected import fitted
from detector.model.view import SEARCHED_AGAIN
from detector.runtime.base import Glance
from detector.runtime.checks import check_sum
from detector.runtime.often import Often
from detector.runtime.openvino_light import CHANNELS, number, tuned
from detector.runtime.openvino_search import CoarseRows, ExactRows, highest
from detector.runtime.openvino_silent import openvino, ops

if TYPE_CHECKING:
    from detector.model.lens import Levels
    from detector.model.profiles import Profile
    from detector.model.view import View
    from detector.runtime.openvino_graphs import Compiled, Compiler, Shape


class OpenvinoSight:
    """The graphs of one view, for each size and depth of a shrunk picture that comes often."""

    def __init__(
        self, name: str, compiler: Compiler, tower: openvino.Model, view: View, settings: Profile, *, exact: bool
    ) -> None:
        """Look with `tower`, the graph of the engine `name`, and search once, if `exact`."""
        self._name = name
        self._compiler = compiler
        self._tower = tower
        self._view = view
        self._settings = settings
        self._exact = exact
        self.sized: Often[tuple[Shape, str, bool], Compiled] = Often(self._made)

    def __call__(self, small: Levels) -> Glance | None:
        """Return what is found of a picture at its size in the tower's eyes; None while it has no graph."""
        graph = self.sized.get((small.shape, small.dtype.name, self._compiler.alone))
        if graph is None:
            return None
        relative, places, patches, squares = graph.infer(small)
        check_sum(float(squares), self._name)
        return Glance(relative, np.asarray(places, dtype=np.int32), patches)

    def _made(self, key: tuple[Shape, str, bool]) -> Compiled:
        shape, depth, alone = key
        graph = sight_graph(self._tower, shape, depth, self._view, self._settings, exact=self._exact)
        return self._compiler.compiled(graph, alone=alone)


def sight_graph(
    tower: openvino.Model, shape: Shape, depth: str, view: View, settings: Profile, *, exact: bool
) -> openvino.Model:
    """Return the graph from a shrunk picture to what `compared` gives, and the sum of the squares of all its patches.

    The picture is (H, W, 3) or (H, W) of the numpy type `depth`.
    """
    picture = ops.parameter(list(shape), np.dtype(depth), name="picture")
    whole = tower.clone()
    whole.reshape([1, *shape[:2], CHANNELS])
    canvas = tuned(ops.convert(picture, np.float32).output(0), view.lens, settings)
    whole.get_parameters()[0].output(0).replace(canvas)
    patches = whole.get_results()[-1].input_value(0)
    _, rows, columns, dimensions = patches.get_shape()
    # What the tower gives must go one way only, or OpenVINO copies it three times to turn its channels last.
    flat = ops.reshape(patches, np.array([rows * columns, dimensions]), False).output(0)
    squares = ops.reduce_sum(ops.multiply(flat, flat), np.array([0, 1]), False).output(0)
    return openvino.Model([*compared(flat, (rows, columns), view, exact=exact), squares], [picture], "sight")


def compared(
    patches: openvino.Output, grid: tuple[int, int], view: View, *, exact: bool
) -> tuple[openvino.Output, ...]:
    """Return the distances of patches (rows * columns, D) over what is usual there: see `view.relative_distances`.

    They are (rows, columns) float32. With them come the places (m,) int32 of the highest ones, each by its index in
    C order, and the patches (m, D) that lie there. Unless the first search is `exact`, these are searched for again.
    """
    cells = grid[0] * grid[1]
    usual = ops.constant(fitted(view.expected, grid).ravel())
    bank = ExactRows(view.bank.rows) if exact else CoarseRows(view.bank.rows, cells)
    alike = bank.alike(patches)
    found = _over(highest(alike), usual)
    first = ops.constant(np.int32(0))
    places = ops.topk(found, ops.constant(np.int32(min(SEARCHED_AGAIN, cells))), 0, "max", "none").output(1)
    some = ops.gather(patches, places, first).output(0)
    if isinstance(bank, CoarseRows):
        again = _over(bank.highest_again(alike, some, places), ops.gather(usual, places, first))
        found = ops.scatter_elements_update(found, places, again, first).output(0)
    return ops.reshape(found, np.array(grid), False).output(0), places, some


def _over(cosine: openvino.Output, usual: openvino.Node) -> openvino.Output:
    """Return the distances that belong to cosines, over the usual ones."""
    distance = ops.maximum(ops.subtract(number(1.0), cosine), number(0.0))
    return ops.divide(distance, usual).output(0)
