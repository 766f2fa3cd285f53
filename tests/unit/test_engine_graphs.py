"""Graphs of towers that no trained model here has: levels for heads, and what is quantised."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.model.backbone.assemble import tower_of
from detector.model.backbone.weights import read_weights
from detector.model.profiles import EDGE_MOBILE, LITE, LITE_PYRAMID, Profile
from detector.runtime.eager import TorchEngine
from detector.runtime.graph import Graph, example
from detector.runtime.making import open_exported
from detector.runtime.onnx_export import write_onnx
from detector.runtime.openvino_engine import GRAPH, WEIGHTS
from detector.runtime.openvino_export import write_openvino
from detector.runtime.openvino_mixed import has_bf16, strides
from detector.runtime.openvino_silent import openvino, the_core
from tests.processors import needs_int8_dot

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.model.backbone.tower import Tower


def tower_for(settings: Profile) -> Tower:
    """Return the profile's tower; random weights where there are none in a package."""
    source = None if settings.tower == LITE.tower else "random"
    return tower_of(settings, read_weights(settings.tower, source).tensors)


def canvas(height: int, width: int) -> NDArray[np.float32]:
    """Return a canvas of noise."""
    return np.random.default_rng(0).standard_normal((height, width, 3), dtype=np.float32)


@pytest.mark.parametrize("profile", [LITE_PYRAMID, EDGE_MOBILE], ids=lambda profile: profile.name)
@pytest.mark.parametrize("engine", ["openvino", "onnx"])
def test_the_levels_that_heads_read_come_out_too(tmp_path: Path, profile: Profile, engine: str) -> None:
    """In the heads' order, for canvases of another size and aspect than the graph was traced with."""
    tower = tower_for(profile)
    write = write_onnx if engine == "onnx" else write_openvino
    write(Graph(tower, profile), example(profile), tmp_path, any_size=True)
    shown = [canvas(256, 384), canvas(192, 128)]
    found = open_exported(engine, tmp_path, threads=1).see(shown)
    for ours, theirs in zip(found, TorchEngine(tower, profile).see(shown), strict=True):
        assert np.abs(ours.patches - theirs.patches).max() < 2e-3
        assert len(ours.levels) == len(profile.head_stages)
        for level, known in zip(ours.levels, theirs.levels, strict=True):
            assert level.shape == known.shape
            assert np.allclose(level, known, atol=1e-3 * float(np.abs(known).max()))


@needs_int8_dot
def test_int8_is_fitted_to_good_pictures_and_still_sees_about_the_same(tmp_path: Path) -> None:
    """Its patches lie near the reference's, and its weights take a fraction of the bytes."""
    settings = replace(LITE, sides_px=(128,))
    tower = tower_for(settings)
    whole, coarse = tmp_path / "whole", tmp_path / "coarse"
    whole.mkdir()
    coarse.mkdir()
    canvases = [0.5 * canvas(128, 128) for _ in range(4)]
    write_openvino(Graph(tower, settings), example(settings), whole, any_size=True)
    write_openvino(Graph(tower, settings), example(settings), coarse, any_size=True, canvases=canvases)
    assert (coarse / "graph.bin").stat().st_size < 0.5 * (whole / "graph.bin").stat().st_size
    ours = open_exported("openvino-int8", coarse, threads=1).see(canvases[:1])[0].patches
    theirs = TorchEngine(tower, settings).see(canvases[:1])[0].patches
    assert float((ours * theirs).sum(axis=2).mean()) > 0.9
    assert not np.array_equal(ours, theirs)


@pytest.mark.parametrize("profile", [LITE, LITE_PYRAMID, EDGE_MOBILE], ids=lambda profile: profile.name)
def test_bf16_is_for_a_towers_coarse_layers_alone(tmp_path: Path, profile: Profile) -> None:
    """The file says which: patches and levels lie nearer to the reference than with bf16 everywhere."""
    tower = tower_for(profile)
    whole, mixed = tmp_path / "whole", tmp_path / "mixed"
    for folder in (whole, mixed):
        folder.mkdir()
        write_openvino(Graph(tower, profile), example(profile), folder, any_size=True, bf16=folder is mixed)
    low, known = (the_core().read_model(folder / GRAPH) for folder in (mixed, whole))
    assert has_bf16(low)
    assert not has_bf16(known)
    assert (mixed / WEIGHTS).stat().st_size < 0.75 * (whole / WEIGHTS).stat().st_size
    assert [output.get_element_type() for output in low.outputs] == [openvino.Type.f32] * (1 + len(profile.head_stages))
    kinds = {node.get_friendly_name(): node.get_output_element_type(0) for node in low.get_ops()}
    for name, stride in strides(known, example(profile).shape).items():
        assert kinds[name] == (openvino.Type.bf16 if stride >= 4 else openvino.Type.f32), name


def test_a_graph_that_says_what_is_in_bf16_runs_as_it_says(tmp_path: Path) -> None:
    """The engine lowers nothing more in it; in one that says nothing it lowers everything."""
    if "BF16" not in the_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor has no instructions for bf16")
    tower = tower_for(LITE)
    for mixed in (True, False):
        folder = tmp_path / str(mixed)
        folder.mkdir()
        write_openvino(Graph(tower, LITE), example(LITE), folder, any_size=True, bf16=mixed)
        named, plain = (
            open_exported(engine, folder, threads=1).see([canvas(128, 160)])[0].patches
            for engine in ("openvino-bf16", "openvino")
        )
        assert float((named * plain).sum(axis=2).mean()) > 0.99
        assert np.array_equal(named, plain) == mixed
