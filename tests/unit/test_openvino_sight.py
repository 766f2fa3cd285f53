"""A whole look as one graph: what it finds is what the steps find that serve all other engines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from detector.export.folder import check_export
from detector.model.artifact import read
from detector.model.bank import Bank
from detector.model.expected import fitted
from detector.model.lens import Lens, level
from detector.model.view import View, relative_distances
from detector.runtime.lanes import Lanes
from detector.runtime.making import open_exported
from detector.runtime.often import OFTEN
from detector.runtime.openvino_graphs import Compiled, Compiler
from detector.runtime.openvino_light import levelled
from detector.runtime.openvino_sight import OpenvinoSight, compared, sight_graph
from detector.runtime.openvino_silent import openvino, ops, the_core
from shared.errors import EngineError
from tests.plates import plate
from tests.processors import needs_int8_dot

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.model.patch_model import PatchModel


@pytest.fixture(params=[1, 2], ids=["on one thread", "in lanes"])
def model(request: pytest.FixtureRequest, exported_model: Path) -> PatchModel:
    """Give a model in OpenVINO, which no picture was shown to."""
    stored = read(exported_model)
    folder = check_export(exported_model, stored.model_id, "openvino")
    return stored.running_on(open_exported("openvino", folder, threads=request.param), stored.chosen(None))


def settled(model: PatchModel, picture: NDArray[Any]) -> None:
    """Show pictures of one kind, alone and side by side, until there are graphs for them."""
    for _ in range(OFTEN):
        model.inspect([picture])
        model.inspect([picture] * 2)
    model.engine.settle()


@pytest.mark.parametrize(
    "picture",
    [
        plate(200),
        plate(201, hole=True),
        plate(202).mean(axis=2).astype(np.uint8),
        plate(203).astype(np.uint16) * 257,
        np.zeros_like(plate(204)),
    ],
    ids=["colour", "hole", "grey", "16 bits", "black"],
)
@pytest.mark.parametrize("levelled", [True, False])
def test_it_finds_what_the_steps_find(model: PatchModel, picture: NDArray[Any], levelled: bool) -> None:
    """Scores, maps and patches of every kind of picture, alone and side by side, with and without levelled light."""
    view = model.product.views[0]
    changed = replace(view, lens=replace(view.lens, level_light=levelled), sight=None)
    changed = replace(changed, sight=model.engine.sight(changed, model.settings))
    model = replace(model, product=replace(model.product, views=(changed,)))
    plain = replace(model, product=replace(model.product, views=(replace(changed, sight=None),)))
    (known,) = plain.inspect([picture])
    settled(model, picture)
    small = changed.lens.sized(known_frame(picture))
    assert isinstance(changed.sight, OpenvinoSight)
    for alone in {True, model.lanes.count == 1}:
        assert changed.sight.sized.get((small.shape, small.dtype.name, alone)) is not None, "a graph was made"
    for found in (*model.inspect([picture]), *model.inspect([picture] * 3)):
        assert found.raw_score == pytest.approx(known.raw_score, rel=1e-3)
        # Places that are not among the highest are as exact as the search by int8.
        assert np.abs(found.anomaly_map.values - known.anomaly_map.values).max() < 0.02 * known.raw_score
        assert len(found.regions) == len(known.regions)


def known_frame(picture: NDArray[Any]) -> Any:  # noqa: ANN401 - uint8 or float32
    """Return the picture as the lens is given it."""
    return picture if picture.dtype == np.uint8 else picture.astype(np.float32) * np.float32(255.0 / 65_535.0)


def test_a_look_that_gives_no_numbers_is_an_error(model: PatchModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part must not pass for good by a comparison with what is no number."""
    picture = plate(1)
    settled(model, picture)
    whole = Compiled.infer

    def spoilt(graph: Compiled, values: NDArray[Any]) -> list[NDArray[np.float32]]:
        *found, squares = whole(graph, values)
        return [*found, squares * np.float32(np.nan)]

    monkeypatch.setattr(Compiled, "infer", spoilt)
    with pytest.raises(EngineError, match="openvino gave patches that are no numbers"):
        model.inspect([picture])


@pytest.mark.parametrize("spoilt", [0.0, np.nan, np.inf])
def test_one_number_that_is_none_is_in_the_sum(model: PatchModel, spoilt: float) -> None:
    """Of a tower that gives the canvas as its patches, with one value spoilt."""
    canvas = ops.parameter([1, -1, -1, 3], np.float32)
    added = np.zeros((1, 4, 5, 3), dtype=np.float32)
    added[0, 2, 3, 1] = spoilt
    tower = openvino.Model([ops.add(canvas, ops.constant(added))], [canvas], "tower")
    bank = Bank(unit(np.random.default_rng(0).normal(size=(4, 3))))
    view = View(Lens(4, 1, 1.0, level_light=False), bank, np.ones((4, 5), dtype=np.float32))
    graph = sight_graph(tower, (4, 5, 3), "uint8", view, model.settings, exact=True)
    shown = np.random.default_rng(0).integers(0, 255, (4, 5, 3), dtype=np.uint8)
    *_, squares = Compiler(the_core(), 1, Lanes()).compiled(graph, alone=True).infer(shown)
    assert np.isfinite(squares) == np.isfinite(spoilt)


@pytest.mark.parametrize(
    ("rows", "grid"), [(1, (1, 1)), (3, (2, 3)), (7, (1, 5)), (257, (1, 40)), (300, (7, 8)), (257, (70, 70))]
)
@pytest.mark.parametrize("exact", [True, pytest.param(False, marks=needs_int8_dot)], ids=["in float32", "by int8"])
def test_few_patches_and_small_banks_are_compared_as_by_the_steps(
    rows: int, grid: tuple[int, int], exact: bool
) -> None:
    """Fewer than are searched for again, fewer rows than are near, pieces of a bank that are not full."""
    rng = np.random.default_rng(0)
    bank = Bank(unit(rng.normal(size=(rows, 16))))
    view = View(Lens(64, 16, 1.0, level_light=False), bank, rng.uniform(0.1, 1.0, (3, 4)).astype(np.float32))
    shown = unit(rng.normal(size=(1, *grid, 16)))
    patches = ops.parameter([grid[0] * grid[1], 16], np.float32)
    graph = openvino.Model(list(compared(patches.output(0), grid, view, exact=exact)), [patches], "relative")
    found, places, some = computed(graph, shown.reshape(-1, 16))
    known = relative_distances(shown[0], bank, fitted(view.expected, grid))
    assert found.shape == grid
    errors = np.sort(np.abs(found - known).ravel())
    assert errors[: errors.size if exact else min(32, errors.size)].max() < 1e-5
    assert np.array_equal(some, shown.reshape(-1, 16)[places.astype(int)])
    assert len(set(places)) == min(32, known.size)
    assert found.ravel()[places.astype(int)].min() >= np.sort(found.ravel())[-len(places)] - 0.05
    # What is larger than any of the bank's rows is cut off, which makes a distance larger, and never smaller.
    assert (known - found).max() < 0.05
    assert np.quantile(np.abs(found - known), 0.98) < 0.05


@pytest.mark.parametrize("shape", [(32, 48, 3), (32, 48), (8, 8), (1, 40, 3)])
@pytest.mark.parametrize(("low", "high"), [(0, 255), (0, 3), (200, 201)])
def test_light_is_levelled_as_by_the_lens(shape: tuple[int, ...], low: int, high: int) -> None:
    """Colour and grey, dark and flat, larger than the blur and smaller."""
    shown = np.random.default_rng(0).uniform(low, high, shape).astype(np.float32)
    pixels = ops.parameter(list(shape), np.float32)
    rows = ops.reshape(pixels, np.array([shape[0], -1]), False).output(0)
    (found,) = computed(openvino.Model([levelled(rows, shape[1])], [pixels], "light"), shown)
    assert np.abs(found.reshape(shape) - level(shown)).max() < 0.02


def unit(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return rows of unit length."""
    return np.asarray(values / np.linalg.norm(values, axis=-1, keepdims=True), dtype=np.float32)


def computed(model: openvino.Model, shown: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Return what a graph makes of its input, in float32."""
    return Compiler(the_core(), 1, Lanes()).compiled(model, alone=True).infer(shown)
