"""The benchmarks of speed from end to end, with as little work as they take."""

from __future__ import annotations

import json
import multiprocessing
import stat
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from deploy.cli import app
from deploy.speed.contenders import contenders
from deploy.speed.detector_alone import detector_alone
from deploy.speed.parts import ENCODER, IN_GRAPH
from deploy.speed.peers import running_peers
from deploy.speed.recipe import Recipe
from deploy.speed.running_line import line_settings, running_line
from deploy.speed.side import Side
from deploy.speed.subjects import frames
from deploy.speed.timing import breakdown_of
from detector.model.lens import Size
from shared.errors import ConfigError, EngineError

_SMALL = ("--width", "160", "--height", "120")
# Stands in for anomalib's interpreter: it answers in the same words, and takes no time.
_FAST_PEER = """\
import json, os, sys
def say(answer): os.write(int(os.environ["ANSWERS"]), (json.dumps(answer) + "\\n").encode())
if sys.argv[1] == "-c": print("2.7.0"); raise SystemExit
folder, method = sys.argv[2], sys.argv[3]
assert all(os.path.exists(os.path.join(folder, name)) for name in ("train.npy", "trunk.safetensors", "pictures"))
if method == "{broken}": print("it is broken"); raise SystemExit(3)
names = [method + " torch", method + " openvino, 4 side by side"]
say({{"anomalib": "2.7.0", "inferencers": names}})
for line in sys.stdin: say({{names[0]: [1.5] * int(line.split()[0]), names[1]: [1.2]}})
"""


def peer(folder: Path, broken: str = "") -> Path:
    """Write a program that is called as anomalib's interpreter is."""
    (folder / "peer.py").write_text(_FAST_PEER.format(broken=broken))
    program = folder / "python"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {folder / "peer.py"} "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def run(*arguments: str | Path) -> tuple[int, str]:
    """Run a benchmark."""
    done = CliRunner().invoke(app, ["bench", *map(str, arguments)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.output
    return done.exit_code, done.output


def test_a_model_by_itself(lite_model: Path, tmp_path: Path) -> None:
    """Parts and bounds are told of torch as built and of ours; neither is four times the first, so it exits with 1."""
    figures, picture = tmp_path / "model.json", tmp_path / "model.png"
    code, output = run(
        "model", "--model", lite_model, "--engine", "torch", "--rounds", "4", "--threads", "1", *_SMALL,
        "--json", figures, "--picture", picture,
    )  # fmt: skip
    found = json.loads(figures.read_text())
    assert (code, found["sound"]) == (1, False)
    assert "fastest over torch as built" in output
    assert [one["engine"] for one in found["engines"]] == ["torch-as-built", "torch"]
    for one in found["engines"]:
        assert {"decode", "resize", "light", "encoder", "bank", "regions"} <= set(one["breakdown"]["parts_ms"])
        assert abs(one["breakdown"]["gap"]) < 0.5
        assert one["cosine"] == pytest.approx(1.0)
    assert found["ratios"]["torch-as-built"]["over_torch_as_built"] == {"best": 1, "one_by_one": 1, "stream": 1}
    assert picture.stat().st_size > 5_000
    assert not multiprocessing.active_children()


def test_an_engine_of_one_graph(exported_model: Path) -> None:
    """Its graph, made before anything counts, is told as the encoder and the rest; its parts are all there is."""
    side = Side(Recipe("openvino", exported_model, 2), frames(2, Size(120, 160)))
    turns = [side.turn(number) for number in range(8)]
    for turn in turns:
        assert {"decode", "resize", ENCODER, IN_GRAPH, "map"} <= set(turn.parts_ns)
        assert not {"light", "bank"} & set(turn.parts_ns)
        assert turn.parts_ns[ENCODER] == turn.encoder_ns
    assert abs(breakdown_of([turn.parts_ns for turn in turns], [turn.whole_ns for turn in turns], 2).gap) < 0.5
    assert side.stream(1) > 0
    assert len(side.each(3, 4)) == 4


def test_what_fails_in_an_engines_process_is_told(exported_model: Path) -> None:
    """As if it had failed here, with its remedy; an engine that nobody knows is refused before any starts.

    The first that fails ends those that wait.
    """
    told: list[str] = []

    def begin(engine: str) -> None:
        shown = frames(1, Size(120, 160))
        with contenders(
            exported_model,
            shown,
            threads=1,
            names=[engine],
            on_progress=lambda *step: told.append(str(step)),
            as_built=False,
        ):
            pytest.fail("there is such an engine")

    with pytest.raises(ConfigError, match="there is no engine 'abacus'"):
        begin("abacus")
    assert not told
    with pytest.raises(EngineError, match=r"openvino-int8.*linewarden export"):
        begin("openvino-int8")
    assert told == [str(("engines", done, 2)) for done in range(2)]
    assert not multiprocessing.active_children()


def test_a_whole_line_on_the_memory_bus(lite_model: Path, tmp_path: Path) -> None:
    """Every part is decided by what was seen of it, and the profile knows the engine."""
    figures, picture = tmp_path / "pipeline.json", tmp_path / "pipeline.svg"
    code, output = run(
        "pipeline", "--model", lite_model, "--no-kafka", "--seconds", "0.4", "--rounds", "1", "--threads", "1",
        "--fps", "10", *_SMALL, "--json", figures, "--picture", picture,
    )  # fmt: skip
    found = json.loads(figures.read_text())
    (memory,) = found["sustained"]
    assert code == (0 if found["sound"] else 1), output
    assert memory["inspected"] > 0
    assert memory["defaulted"] == 0
    assert memory["profile_ms"]["engine"] > 0
    assert found["latency"]["parts"] == 4
    assert found["footprint"] is None
    assert picture.stat().st_size > 5_000


@pytest.mark.kafka
async def test_the_detector_alone(lite_model: Path, tmp_path: Path, kafka_url: str) -> None:
    """Its process answers the frame that waited for it and those that come, and says what it holds."""
    shown = frames(2, Size(120, 160))
    found = await detector_alone(tmp_path, lite_model, shown, bus=kafka_url, threads=1, count=3)
    assert found.frames == 4
    assert 0 < found.first_verdict_s < 120
    assert 50 < found.resident_mib < 4_000


async def test_a_source_that_is_let_at_a_rate(lite_model: Path) -> None:
    """As many parts as the time holds, none of them twice, and after them as fast as the line goes."""
    pictures = [np.full((120, 160, 3), level, np.uint8) for level in (90, 120)]
    async with running_line(pictures, line_settings(lite_model, threads=1)) as line:
        paced = await line.paced(0.5, fps=8)
        flow = await line.flow(0.3, window=3)
    assert paced.inspected + paced.defaulted == 4
    assert flow.inspected > 0


def test_beside_peers_that_answer(tmp_path: Path) -> None:
    """Ours and theirs, one by one and at once, are in one table; a peer faster than a third of ours is told."""
    figures = tmp_path / "peers.json"
    code, output = run(
        "compare",
        "--peers",
        peer(tmp_path),
        "--engine",
        "torch",
        "--rounds",
        "1",
        "--threads",
        "1",
        *_SMALL,
        "--json",
        figures,
    )
    found = json.loads(figures.read_text())
    assert code == 1
    names = {one["name"] for one in found["runners"]}
    assert {"patchcore torch", "padim torch", "padim openvino, 4 side by side"} <= names
    assert {"linewarden torch", "linewarden torch, in a stream"} <= names
    assert found["times"] < 3
    assert found["times_several"] > 0
    assert "over anomalib's fastest" in output
    assert "side by side" in output


def test_a_peer_that_fails_says_its_last_words(tmp_path: Path) -> None:
    """With what makes an environment for it."""
    for name in ("train.npy", "trunk.safetensors", "pictures"):
        (tmp_path / name).touch()
    program = peer(tmp_path, broken="padim")
    running = running_peers(program, tmp_path, "padim", coreset=8, threads=1, size=Size(120, 160))
    with pytest.raises(ConfigError, match=r"padim failed: it is broken.*make bench-compare"), running:
        pass


@pytest.mark.kafka
@pytest.mark.redis
def test_ways_of_frames(tmp_path: Path) -> None:
    """All three bring the same bytes, on servers of their own."""
    figures = tmp_path / "payloads.json"
    code, output = run("payloads", "--size", "50000", "--size", "5000000", "--rounds", "2", "--json", figures)
    found = json.loads(figures.read_text())
    assert code == 0, output
    assert len(found["ways"]) == 6
    assert all(way["of_message"] > 0 for way in found["ways"])
