"""A whole look through one view as a single OpenVINO graph: light, tower, and the search in the view's bank.

Each step by itself is as fast elsewhere. In one graph nothing waits between two steps for Python, which several
pictures side by side take in turns, and a picture that is alone has all threads for each of them. The steps are those
of `lens.level`, `lens.normalised` and `view.relative_distances`, which serve all other engines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector.model.expected import fitted
from detector.model.lens import DARKEST_SHADE, FAINTEST_CONTRAST, LEVEL_DEVIATION, LEVEL_MEAN, shade_px
from detector.model.view import SEARCHED_AGAIN
from detector.model.wide_blur import cosines
from detector.runtime.base import Seen
from detector.runtime.checks import finite
from detector.runtime.often import Often
from detector.runtime.openvino_search import CoarseRows
from detector.runtime.openvino_silent import openvino, ops

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from detector.model.lens import Levels
    from detector.model.profiles import Profile
    from detector.model.view import View
    from detector.runtime.openvino_graphs import Compiled, Compiler, Shape

_BRIGHTEST = 255.0
_COLOUR_DIMENSIONS = 3


class OpenvinoSight:
    """The graphs of one view, for each size and depth of a shrunk picture that comes often."""

    def __init__(self, name: str, compiler: Compiler, tower: openvino.Model, view: View, settings: Profile) -> None:
        """Look with `tower`, the graph of the engine `name`."""
        self._name = name
        self._compiler = compiler
        self._tower = tower
        self._view = view
        self._settings = settings
        self.sized: Often[tuple[Shape, str, bool], Compiled] = Often(self._made)

    def __call__(self, small: Levels) -> Seen | None:
        """Return what is seen of a picture at its size in the tower's eyes; None while it has no graph."""
        graph = self.sized.get((small.shape, small.dtype.name, self._compiler.alone))
        if graph is None:
            return None
        patches, relative = graph.infer(small)
        return Seen((), finite(patches[0], self._name), relative)

    def _made(self, key: tuple[Shape, str, bool]) -> Compiled:
        shape, depth, alone = key
        return self._compiler.compiled(sight_graph(self._tower, shape, depth, self._view, self._settings), alone=alone)


def sight_graph(tower: openvino.Model, shape: Shape, depth: str, view: View, settings: Profile) -> openvino.Model:
    """Return the graph from a shrunk picture to its patches, (1, rows, columns, D), and relative distances.

    The picture is (H, W, 3) or (H, W) of the numpy type `depth`; the distances are (rows, columns) float32.
    """
    picture = ops.parameter(list(shape), np.dtype(depth), name="picture")
    pixels = ops.convert(picture, np.float32).output(0)
    if view.lens.level_light:
        pixels = levelled(pixels, shape)
    whole = tower.clone()
    whole.reshape([1, shape[0], shape[1], _COLOUR_DIMENSIONS])
    whole.get_parameters()[0].output(0).replace(_normalised(pixels, shape, settings))
    patches = whole.get_results()[-1].input_value(0)
    return openvino.Model([patches, relative(patches, view)], [picture], "sight")


def levelled(pixels: openvino.Output, shape: Shape) -> openvino.Output:
    """Return pixels (H, W, 3) or (H, W) without their shades and at one contrast: see `lens.level`."""
    coloured = len(shape) == _COLOUR_DIMENSIONS
    grey = ops.reduce_mean(pixels, np.array([2]), False).output(0) if coloured else pixels
    sigma_px = shade_px(shape[0] * shape[1])
    down, down_weakened = cosines(shape[0], sigma_px)
    across, across_weakened = cosines(shape[1], sigma_px)
    few = ops.matmul(ops.matmul(_number(down_weakened), grey, False, False), _number(across_weakened), False, True)
    shade = ops.matmul(ops.matmul(_number(down), few, True, False), _number(across), False, False)
    if coloured:
        shade = ops.unsqueeze(shade, np.array([2]))
    relative = ops.divide(ops.subtract(pixels, shade), ops.maximum(shade, _number(DARKEST_SHADE)))
    everywhere = np.arange(len(shape))
    mean = ops.reduce_mean(relative, everywhere, False)
    squares = ops.reduce_mean(ops.multiply(relative, relative), everywhere, False)
    variance = ops.maximum(ops.subtract(squares, ops.multiply(mean, mean)), _number(0.0))
    gain = ops.divide(_number(LEVEL_DEVIATION), ops.add(ops.sqrt(variance), _number(FAINTEST_CONTRAST)))
    return ops.clamp(ops.add(ops.multiply(relative, gain), _number(LEVEL_MEAN)), 0.0, _BRIGHTEST).output(0)


def _normalised(pixels: openvino.Output, shape: Shape, settings: Profile) -> openvino.Output:
    """Return pixels as the tower wants them, (1, H, W, 3); what is grey has three times the same."""
    last = _COLOUR_DIMENSIONS if len(shape) == _COLOUR_DIMENSIONS else 1
    canvas = ops.reshape(pixels, np.array([1, *shape[:2], last]), False)
    centred = ops.subtract(canvas, _number(np.asarray(settings.mean) * _BRIGHTEST))
    return ops.multiply(centred, _number(1 / (_BRIGHTEST * np.asarray(settings.std)))).output(0)


def relative(patches: openvino.Output, view: View) -> openvino.Output:
    """Return the patches' distances over what is usual there, (rows, columns): see `view.relative_distances`."""
    _, rows, columns, depth = patches.get_shape()
    usual = ops.constant(fitted(view.expected, (rows, columns)).ravel())
    flat = ops.reshape(patches, np.array([rows * columns, depth]), False).output(0)
    bank = CoarseRows(view.bank.rows)
    about = _over(bank.highest(flat), usual)
    first = ops.constant(np.int32(0))
    count = ops.constant(np.int32(min(SEARCHED_AGAIN, rows * columns)))
    places = ops.topk(about, count, 0, "max", "none").output(1)
    again = bank.highest_again(ops.gather(flat, places, first).output(0))
    exact = _over(again, ops.gather(usual, places, first))
    return ops.reshape(
        ops.scatter_elements_update(about, places, exact, first), np.array([rows, columns]), False
    ).output(0)


def _over(cosine: openvino.Output, usual: openvino.Node) -> openvino.Output:
    """Return the distances that belong to cosines, over the usual ones."""
    distance = ops.maximum(ops.subtract(_number(1.0), cosine), _number(0.0))
    return ops.divide(distance, usual).output(0)


def _number(value: ArrayLike) -> openvino.Node:
    return ops.constant(np.asarray(value, dtype=np.float32))
