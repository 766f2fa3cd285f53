"""What the benchmarks of speed make of their turns: bounds that are held or missed, tables, JSON and pictures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deploy.chart import Bar, Chart, Panel, check_picture, draw
from deploy.speed.bare_engine import Alone
from deploy.speed.contenders import cosine
from deploy.speed.detector_alone import Footprint
from deploy.speed.model_figures import EngineFigures, ModelFigures, Speedup, speedup_of
from deploy.speed.parts import ENCODER, IN_GRAPH, split
from deploy.speed.peer_bench import PeerFigures, runners_of
from deploy.speed.pipeline_figures import PipelineFigures, latency_of, sustained_of
from deploy.speed.running_line import Flow
from deploy.speed.sampling import owner_of, shares
from deploy.speed.timing import Breakdown, Timing
from deploy.speed.turns import Turn, Turns
from deploy.stream.handover import MEMORY, MESSAGE, REDIS, HandoverFigures, ways_of
from shared.errors import ConfigError

MS = 1_000_000


def engine(name: str, *, speedup: float, around: float = 0.2, gap: float = 0.0, cosine: float = 1.0) -> EngineFigures:
    """Return one engine's figures."""
    whole = Timing(10 / speedup, 10 / speedup, 12 / speedup)
    parts = Breakdown({"decode": 1.0, "encoder": 9.0}, gap)
    over = Speedup(best=speedup, one_by_one=speedup, stream=speedup)
    return EngineFigures(name, whole, whole, parts, around, 90 * speedup, over, over, cosine)


def model_figures(*engines: EngineFigures, tower: str = "linewarden-lite", vnni: bool = True) -> ModelFigures:
    """Return the figures of a model on the reference, which is torch as built, and these engines."""
    reference = engine("torch-as-built", speedup=1)
    return ModelFigures("lite", tower, (224, 288), "jpeg", 2, 100, (reference, *engines), {"vnni": vnni})


def missed(figures: ModelFigures | PipelineFigures | PeerFigures) -> set[str]:
    """Return the bounds that are missed."""
    return {bound.name for bound in figures.bounds if not bound.held}


def test_a_fast_engine_holds_every_bound() -> None:
    """Four times the reference, and little around its encoder."""
    figures = model_figures(engine("openvino", speedup=4.1))
    assert figures.sound
    assert figures.fastest.engine == "openvino"
    assert [one.label for one in figures.engines] == ["torch as built", "openvino"]


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"speedup": 3.9}, "fastest over torch as built"),
        ({"speedup": 5, "around": 0.26}, "around the encoder"),
        ({"speedup": 5, "gap": 0.031}, "parts of the whole, less the whole"),
        ({"speedup": 5, "gap": -0.031}, "parts of the whole, less the whole"),
    ],
)
def test_each_bound_can_be_missed(changed: dict[str, float], name: str) -> None:
    """Alone."""
    assert missed(model_figures(engine("openvino", **changed))) == {name}


def turns(whole_ms: list[int], stream_ms: list[int]) -> Turns:
    """Return turns whose whole and whose streams took so long."""
    return Turns([Turn(MS, took * MS, {}) for took in whole_ms], [took * MS for took in stream_ms])


def test_each_engine_goes_its_better_way() -> None:
    """One by one, the median from stream to stream, or its share of a stream."""
    alone = turns([10, 10, 10, 30, 20, 20, 20, 20], [1200, 1200])
    together = turns([20] * 8, [240, 240])
    assert alone.best_ns == [10 * MS, 20 * MS]
    assert together.best_ns == [5 * MS, 5 * MS]
    assert together.stream_per_s == 200
    assert speedup_of(together, alone) == Speedup(best=3, one_by_one=1, stream=5)


def test_both_ways_are_told() -> None:
    """Each engine's ratios over both torches are in the JSON, and the better way's rate."""
    found = model_figures(engine("openvino", speedup=4)).to_json()["ratios"]["openvino"]
    assert found["over_torch_as_built"] == found["over_torch"] == {"best": 4, "one_by_one": 4, "stream": 4}
    assert found["pictures_per_s_best"] == pytest.approx(400)


def test_a_graph_that_holds_the_encoder_is_split() -> None:
    """Into the encoder as it is alone and the rest; where the encoder ran by itself, nothing is."""
    parts = {"decode": 2, IN_GRAPH: 9}
    assert split(parts, 6) == {"decode": 2, ENCODER: 6, IN_GRAPH: 3}
    assert split({**parts, ENCODER: 7}, 6) == {**parts, ENCODER: 7}
    assert split({"decode": 2}, 6) == {"decode": 2}


def test_int8_is_asked_of_processors_that_have_it() -> None:
    """A ViT needs an int8 engine of twice the speed where there is VNNI, and a float32 one whose features are close."""
    names = ("float32 over torch as built", "int8 over torch as built")
    float32 = engine("openvino", speedup=1.3, around=0.04)
    far = engine("openvino", speedup=1.3, around=0.04, cosine=0.9)
    assert missed(model_figures(float32, tower="ViT-B-16")) == {names[1]}
    assert not missed(model_figures(float32, tower="ViT-B-16", vnni=False))
    int8 = engine("openvino-int8", speedup=2.1, around=0.04, cosine=0.97)
    assert model_figures(float32, int8, tower="ViT-B-16").sound
    assert missed(model_figures(far, int8, tower="ViT-B-16")) == {names[0]}


def test_other_towers_are_asked_only_that_parts_add_up() -> None:
    """There is no bound on what nobody measured."""
    assert model_figures(tower="MobileCLIP2-S0").sound


def pipeline_figures(*, line_per_s: float = 90.0, latency_ms: float = 20.0) -> PipelineFigures:
    """Return a line of so many pictures a second beside an engine of 100, on the memory bus."""
    bare = [Alone(1_000, 10.0, (10.0,) * 100)] * 3
    flows = [Flow(round(line_per_s * 10), 0, 10.0, (latency_ms,) * 100)] * 3
    profiled = Flow(50, 0, 1.0)
    return PipelineFigures(
        model="lite",
        picture_px=(480, 640),
        threads=2,
        cores=2,
        sustained=(sustained_of("memory", "raw", bare, flows, profiled, {"engine": 1.0, "ingest": 0.1}),),
        latency=latency_of(30, bare, flows),
        footprint=Footprint(2.5, 500, False, 51),
    )


def test_a_line_near_its_engine_is_sound() -> None:
    """Shares are of turns, the profile is of a picture."""
    figures = pipeline_figures()
    assert figures.sound
    (memory,) = figures.sustained
    assert memory.share == pytest.approx(0.9)
    assert memory.profile_ms == {"engine": 20.0, "ingest": 2.0}
    assert figures.to_json()["added_p99_ms"] == pytest.approx(10.0)


def test_a_line_far_from_its_engine_is_not() -> None:
    """Too slow, too late, too large, too long to start, and with torch: each by its name."""
    assert missed(pipeline_figures(line_per_s=84.0)) == {"of the bare engine"}
    assert missed(pipeline_figures(latency_ms=23.0)) == {"p99 at 30 fps over the model's, ms"}
    heavy = replace(pipeline_figures(), footprint=Footprint(3.5, 700, True, 51))
    assert missed(heavy) == {"resident, MiB", "torch loaded", "start to first verdict, s"}
    (memory,) = pipeline_figures().sustained
    assert missed(replace(pipeline_figures(), sustained=(replace(memory, defaulted=1),))) == {
        "parts decided by default"
    }
    kafka = replace(memory, bus="kafka", share=0.49)
    assert missed(replace(pipeline_figures(), sustained=(memory, kafka))) == {"of the bare engine"}


def test_the_fastest_of_both_sides_decide() -> None:
    """Whatever the slower ones take; several of anomalib's inferencers are told apart."""
    taken = {
        "linewarden torch": [[30 * MS] * 4] * 6,
        "linewarden openvino": [[8 * MS] * 4] * 6,
        "linewarden openvino, in a stream": [[5 * MS]] * 6,
        "patchcore torch": [[90 * MS] * 4] * 6,
        "patchcore openvino": [[20 * MS] * 4] * 6,
    }
    theirs = {"patchcore openvino, 4 side by side": [[14 * MS]] * 6}
    both = PeerFigures("2.7.0", (224, 288), 2, 2, 6, runners_of({**taken, **theirs}))
    assert both.runners[0].name == "linewarden openvino, in a stream"
    assert both.times == pytest.approx(4.0)
    assert both.times_several == pytest.approx(2.8)
    assert both.sound
    assert both.to_json()["times_several"] == pytest.approx(2.8)
    alone = PeerFigures("2.7.0", (224, 288), 2, 2, 6, runners_of({**taken, "padim openvino": [[14 * MS] * 4] * 6}))
    assert alone.times == pytest.approx(2.8)
    assert alone.times_several is None
    assert missed(alone) == {"over anomalib's fastest inferencer"}


def test_ways_are_held_against_the_message() -> None:
    """Turn by turn."""
    ways = ways_of(
        900,
        {MESSAGE: [4.0, 8.0], REDIS: [6.0, 12.0], MEMORY: [2.0, 4.0]},
        {way: [1.0] for way in (MESSAGE, REDIS, MEMORY)},
    )
    assert [way.of_message for way in ways] == [1.0, 1.5, 0.5]
    assert len(HandoverFigures(2, tuple(ways)).table().rows) == 3


def test_likeness_is_of_each_place() -> None:
    """The mean cosine: whole rows may be of any length, and one place of two that is turned about halves it."""
    ours = np.array([[[3.0, 0.0], [0.0, 2.0]]], dtype=np.float32)
    theirs = np.array([[[1.0, 0.0], [5.0, 0.0]]], dtype=np.float32)
    assert cosine(ours, 7 * ours) == pytest.approx(1.0)
    assert cosine(ours, theirs) == pytest.approx(0.5)


def test_samples_share_out_what_was_used() -> None:
    """A thread that waits is nobody's; one that was never seen at work is the loop's."""
    assert shares({"": 90, "ingest": 6, "bus": 4}) == {"ingest": 0.6, "bus": 0.4}
    assert shares({"": 5}) == {"event loop": 1.0}
    assert owner_of(None) == ""


@pytest.mark.parametrize("kind", [".png", ".svg"])
def test_figures_are_drawn(tmp_path: Path, kind: str) -> None:
    """Each kind of chart, with bounds and parts, becomes a picture that is not empty; JSON needs no conversion."""
    runners = runners_of({"linewarden torch": [[MS] * 4], "padim torch": [[2 * MS] * 4]})
    peers = PeerFigures("2.7.0", (224, 288), 2, 2, 4, runners)
    drawn: list[ModelFigures | PipelineFigures | PeerFigures] = [
        model_figures(engine("openvino", speedup=4)),
        pipeline_figures(),
        peers,
    ]
    for number, figures in enumerate(drawn):
        picture = tmp_path / f"{number}{kind}"
        check_picture(picture)
        draw(figures, picture)
        content = picture.read_bytes()
        assert content.startswith(b"\x89PNG" if kind == ".png" else b"<?xml")
        assert len(content) > 5_000
        assert json.loads(json.dumps(figures.to_json()))["sound"] is figures.sound
        assert all(table.rows for table in figures.tables())


def test_a_picture_that_cannot_be_drawn_is_refused_before_the_work(tmp_path: Path) -> None:
    """By its name, or its place."""
    with pytest.raises(ConfigError, match=r"ends with \.png or \.svg"):
        check_picture(tmp_path / "figures.gif")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot write"):
        check_picture(tmp_path / "file" / "figures.png")
    check_picture(None)


def test_a_chart_of_nothing_is_drawn() -> None:
    """A bar of no length beside none at all."""
    assert Bar("x", {}).length == 0
    chart = Chart("t", (Panel("p", (Bar("x", {"": 0.0}),)),))
    assert np.isfinite(chart.panels[0].bars[0].length)
