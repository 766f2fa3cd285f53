"""What every engine must do alike: the same tests on each of them, beside the reference."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from detector.export.folder import check_export
from detector.model.artifact import StoredModel, read
from detector.runtime.compiled import CompiledEngine
from detector.runtime.eager import TorchEngine
from detector.runtime.making import open_exported
from tests.plates import plate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.runtime.base import Engine


def as_it_is(graph: Any, **_options: object) -> Any:  # noqa: ANN401 - whatever torch.compile would take
    """Stand in for torch.compile, which needs a compiler and a minute: the same graph, not compiled."""
    return graph


@pytest.fixture(scope="module")
def stored(exported_model: Path) -> StoredModel:
    """Read the model that all engines run."""
    return read(exported_model)


@pytest.fixture(scope="module")
def reference(stored: StoredModel) -> TorchEngine:
    """Give the engine that the others are measured against."""
    return TorchEngine(stored.tower(), stored.settings)


@pytest.fixture(scope="module", params=["torch", "compiled", "openvino", "openvino in two lanes", "onnx"])
def engine(request: pytest.FixtureRequest, stored: StoredModel, reference: TorchEngine) -> Engine:
    """Give each engine in turn."""
    name, _, lanes = request.param.partition(" in ")
    if name == "torch":
        return reference
    if name == "compiled":
        return CompiledEngine(stored.tower(), stored.settings, device="cpu", compile_with=as_it_is)
    folder = check_export(stored.folder, stored.model_id, name)
    return open_exported(name, folder, threads=2 if lanes else 1)


def canvas(height: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    """Return a canvas of noise."""
    return np.random.default_rng(seed).standard_normal((height, width, 3), dtype=np.float32)


def test_it_sees_what_the_reference_sees(engine: Engine, reference: TorchEngine) -> None:
    """The patches of canvases of several sizes, in their order, are the reference's but for rounding."""
    canvases = [canvas(256, 256), canvas(192, 320, 1), canvas(256, 256, 2)]
    for ours, theirs in zip(engine.see(canvases), reference.see(canvases), strict=True):
        assert ours.patches.dtype == np.float32
        assert ours.patches.shape == theirs.patches.shape
        assert np.abs(ours.patches - theirs.patches).max() < 1e-3
        assert ours.levels == ()


def test_a_size_that_comes_often_is_seen_as_before(engine: Engine) -> None:
    """Whatever an engine keeps for a size changes nothing of what it sees."""
    shown = canvas(160, 192)
    first = engine.see([shown])[0].patches
    for _ in range(5):
        assert np.allclose(engine.see([shown])[0].patches, first, atol=1e-4)


def test_more_sizes_than_are_kept_are_all_seen(engine: Engine, reference: TorchEngine) -> None:
    """A size that was pushed out comes back."""
    for _ in range(2):
        for side in (64, 80, 96, 112, 128, 144):
            for _ in range(3):
                seen = engine.see([canvas(side, side)])[0].patches
            assert np.allclose(seen, reference.see([canvas(side, side)])[0].patches, atol=1e-3)


def test_what_was_seen_stays_when_more_is_seen(engine: Engine) -> None:
    """An answer is the caller's own: the next one does not overwrite it."""
    first = engine.see([canvas(128, 128)])[0].patches
    kept = first.copy()
    engine.see([canvas(128, 128, 7)])
    assert (first == kept).all()


def test_the_search_finds_the_nearest_row(engine: Engine) -> None:
    """Within what it promises, for any number of patches, also where the bank is no multiple of anything."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((517, 152)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    search = engine.search(rows)
    for count in (1, 7, 700):
        patches = rows[rng.integers(0, 517, count)] + 0.05 * rng.standard_normal((count, 152)).astype(np.float32)
        patches /= np.linalg.norm(patches, axis=1, keepdims=True)
        error = np.abs(search(patches) - (patches @ rows.T).max(axis=1)).max()
        assert error < (1e-5 if search.exact else 0.02)


def test_the_search_adds_up_large_numbers(engine: Engine) -> None:
    """Neighbouring values near the largest: two of their products together need more than 16 bits in int8."""
    rng = np.random.default_rng(0)
    rows = np.repeat(rng.standard_normal((300, 8)) ** 3, 4, axis=1).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    search = engine.search(rows)
    error = np.abs(search(rows) - 1.0).max()
    assert error < (1e-5 if search.exact else 0.02)


def test_the_whole_model_scores_as_on_the_reference(
    engine: Engine, reference: TorchEngine, stored: StoredModel
) -> None:
    """Scores, regions and the golden picture of good and spoilt parts, alone and together."""
    pictures = [plate(200), plate(201, hole=True), plate(202)]
    ours, theirs = (stored.running_on(one, stored.chosen(None)) for one in (engine, reference))
    together, expected = ours.inspect(pictures), theirs.inspect(pictures)
    alone = [ours.inspect([picture])[0] for picture in pictures]
    for found, one, known in zip(together, alone, expected, strict=True):
        assert found.raw_score == pytest.approx(known.raw_score, rel=2e-3)
        assert one.raw_score == pytest.approx(found.raw_score, rel=1e-4)
        assert len(found.regions) == len(known.regions)
    golden, same = together[1].golden, expected[1].golden
    assert golden is not None
    assert same is not None
    mine, reference_one = golden(), same()
    assert mine is not None
    assert reference_one is not None
    assert mine.name == reference_one.name


def test_a_canvas_of_another_kind_is_refused(engine: Engine) -> None:
    """Bytes, or a grey canvas, are a mistake in the program, and not passed on."""
    with pytest.raises(ValueError, match="float32"):
        engine.see([np.zeros((64, 64, 3), dtype=np.uint8)])
    with pytest.raises(ValueError, match="float32"):
        engine.see([np.zeros((64, 64), dtype=np.float32)])
