from __future__ import annotations

import ast
import sys
from io import StringIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from rich.console import Console

import deploy.comparison
from deploy.comparison import (
    OURS,
    PEERS,
    Comparison,
    ComparisonRow,
    canvas_for,
    compare,
    place,
    run_peer,
    write_pictures,
)
from detector.evaluation.evaluate import evaluate
from detector.evaluation.recorded import Content, RecordedModel
from detector.pictures.sets import list_test
from shared.errors import ConfigError

RUNNER = Path(deploy.comparison.__file__).parent / "peers" / "anomalib_runner.py"
REQUIREMENTS = RUNNER.with_name("requirements.txt")
PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"

DARKNESS = """
import pathlib, sys
import numpy as np
folder, method = pathlib.Path(sys.argv[1]), sys.argv[2]
maps = -np.load(folder / "test.npy").mean(axis=1)
np.save(folder / f"{method}-maps.npy", maps)
np.save(folder / f"{method}-scores.npy", maps.max(axis=(1, 2)))
"""


def interpreter_that_runs(script: str, folder: Path) -> Path:
    """Write an interpreter that has "anomalib 0.0" and runs `script`, whichever file it is given."""
    (folder / "script.py").write_text(script, encoding="utf-8")
    python = folder / "python"
    python.write_text(
        f'#!/bin/sh\n[ "$1" = -c ] && echo 0.0 && exit\nshift\nexec {sys.executable} {folder}/script.py "$@"\n',
        encoding="utf-8",
    )
    python.chmod(0o755)
    return python


def write_set(folder: Path, *, masks: bool = True) -> Path:
    """Write two good parts to train on, two good ones to test, and two with a dark hole, each of another shape."""
    shapes = {"train/good": [(40, 60), (40, 60)], "test/good": [(40, 60), (60, 40)], "test/hole": [(40, 60), (60, 40)]}
    for place_in, sizes in shapes.items():
        (folder / place_in).mkdir(parents=True)
        for index, (height, width) in enumerate(sizes):
            picture = np.full((height, width, 3), 220, dtype=np.uint8)
            mask = np.zeros((height, width), dtype=np.uint8)
            mask[8:24, 12:24] = 255
            if place_in == "test/hole":
                picture[mask > 0] = 20
                (folder / "ground_truth" / "hole").mkdir(parents=True, exist_ok=True)
                if masks:
                    cv2.imwrite(str(folder / "ground_truth" / "hole" / f"{index:03d}_mask.png"), mask)
            cv2.imwrite(str(folder / place_in / f"{index:03d}.png"), picture)
    if not masks:
        (folder / "ground_truth" / "hole").rmdir()
        (folder / "ground_truth").rmdir()
    return folder


def row(system: str, category: str, seed: int, pixel_ap: float) -> ComparisonRow:
    """Return a row of which only the pixel AP matters."""
    return ComparisonRow(system, category, seed, 0.9, 0.9, pixel_ap, 0.9)


def silent() -> Console:
    """Return a console that nobody reads."""
    return Console(file=StringIO(), width=160)


def test_a_recorded_model_cuts_the_padding_off_and_keeps_the_order() -> None:
    """Each picture gets its own map without the padding, over as many batches as it takes."""
    maps = np.arange(3, dtype=np.float32)[:, None, None] * np.ones((3, 8, 8), dtype=np.float32) - 5
    maps[:, 6:] = 99
    contents = [Content(6, 8), Content(6, 4), Content(3, 8)]
    model = RecordedModel("peer", maps, np.array([0.5, 0.25, 0.75], dtype=np.float32), contents)
    picture = np.zeros((1, 1, 3), dtype=np.uint8)
    answers = [*model.inspect([picture, picture]), *model.inspect([picture])]
    assert [answer.anomaly_map.values.shape for answer in answers] == [(6, 8), (6, 4), (3, 8)]
    assert [float(answer.anomaly_map.values.max()) for answer in answers] == [0, 1, 2]
    assert [answer.raw_score for answer in answers] == [0.5, 0.25, 0.75]


def test_a_recorded_model_needs_an_answer_for_each_picture() -> None:
    """Maps that are too few are an error, not a measurement of fewer pictures."""
    short = RecordedModel("peer", np.zeros((1, 2, 2), np.float32), np.zeros(1, np.float32), [Content(2, 2)] * 2)
    picture = np.zeros((1, 1, 3), dtype=np.uint8)
    with pytest.raises(ValueError, match="longer"):
        short.inspect([picture, picture])


def test_the_spread_is_that_of_the_mean_over_the_sets() -> None:
    """Sets that move against each other from seed to seed leave the mean over them where it is."""
    rows = tuple(
        row(OURS, category, seed, value)
        for category, values in {"a": (0.2, 0.4), "b": (0.8, 0.6)}.items()
        for seed, value in enumerate(values)
    )
    comparison = Comparison(rows, {"a": (32, 32), "b": (32, 64)}, "0.0")
    assert comparison.mean(OURS, "pixel_ap") == pytest.approx(0.5)
    assert comparison.spread(OURS, "pixel_ap") == pytest.approx(0.0)
    assert comparison.mean(OURS, "pixel_ap", "a") == pytest.approx(0.3)
    assert comparison.spread(OURS, "pixel_ap", "a") == pytest.approx(0.02**0.5)


def test_a_single_seed_has_no_spread() -> None:
    """One number does not vary."""
    assert Comparison((row(OURS, "a", 0, 0.5),), {"a": (32, 32)}, "0.0").spread(OURS, "pixel_ap") == 0.0


def test_a_comparison_is_a_table_and_json() -> None:
    """Both name every system and set; the table says which canvas the peers saw."""
    rows = tuple(row(system, "a", seed, 0.25) for system in (OURS, *PEERS) for seed in range(2))
    comparison = Comparison(rows, {"a": (32, 64)}, "0.0")
    console = Console(width=160, record=True, file=StringIO())
    console.print(comparison.table())
    text = console.export_text()
    assert "64x32" in text
    assert all(system in text for system in (OURS, *PEERS))
    whole = comparison.to_json()
    assert whole["means"]["padim"]["pixel_ap"] == 0.25
    assert len(whole["rows"]) == 6


def test_the_canvas_has_the_median_aspect_ratio_and_the_wanted_area() -> None:
    """One odd picture does not decide, and both sides are multiples of 32."""
    assert canvas_for([(100, 400), (100, 400), (100, 100)], 256) == (128, 512)
    assert canvas_for([(300, 300)], 256) == (256, 256)
    height, width = canvas_for([(100, 130)], 256)
    assert (height % 32, width % 32) == (0, 0)
    assert height < width


def test_a_picture_is_padded_by_its_last_row_and_column() -> None:
    """The picture lies at the top left with its aspect ratio kept, and its border is no edge."""
    picture = np.zeros((10, 20, 3), dtype=np.uint8)
    picture[-1] = 50
    picture[:, -1] = 90
    whole, content = place(picture, (32, 20))
    assert content == Content(10, 20)
    assert (whole[:10] == picture).all()
    assert (whole[10:] == picture[-1]).all()
    whole, content = place(picture, (10, 32))
    assert content == Content(10, 20)
    assert (whole[:, 20:] == picture[:, -1:]).all()


def test_a_peers_maps_lie_where_its_pictures_lie(tmp_path: Path) -> None:
    """A peer whose map is darkness finds every hole exactly, in pictures of any shape."""
    folder = write_set(tmp_path / "set")
    contents = write_pictures(tmp_path / "test.npy", [file.path for file in list_test(folder)], (64, 96))
    assert contents[:2] == [Content(64, 96), Content(64, 43)]
    python = interpreter_that_runs(DARKNESS, tmp_path)
    report = evaluate(folder, run_peer(python, tmp_path, "padim", 0, 50, contents))
    assert report.image_auroc == 1.0
    assert report.pixel_ap is not None
    assert report.pixel_ap > 0.95
    assert report.model_id == "padim"


def test_what_the_trunk_gets_is_normalised_rgb(tmp_path: Path) -> None:
    """The written tensors are (x - 127) / 128, channels first and red first."""
    picture = np.zeros((32, 32, 3), dtype=np.uint8)
    picture[..., 2] = 255
    cv2.imwrite(str(tmp_path / "red.png"), picture)
    write_pictures(tmp_path / "out.npy", [tmp_path / "red.png"], (32, 32))
    tensors = np.load(tmp_path / "out.npy")
    assert tensors.shape == (1, 3, 32, 32)
    assert tensors.dtype == np.float32
    assert tensors[0, :, 5, 5].tolist() == [1.0, -127 / 128, -127 / 128]


def test_a_peer_that_fails_says_why_in_one_line(tmp_path: Path) -> None:
    """The last line of its traceback is the reason given."""
    python = interpreter_that_runs("raise MemoryError('the machine is too small')", tmp_path)
    with pytest.raises(ConfigError, match=r"patchcore failed: MemoryError: the machine is too small\. .*make compare"):
        run_peer(python, tmp_path, "patchcore", 0, 50, [])


def test_a_peer_that_the_machine_killed_says_so(tmp_path: Path) -> None:
    """Out of memory leaves no traceback, only a signal."""
    python = interpreter_that_runs("import os; os.kill(os.getpid(), 9)", tmp_path)
    with pytest.raises(ConfigError, match=r"patchcore was killed by signal 9\. Give it more memory"):
        run_peer(python, tmp_path, "patchcore", 0, 50, [])


@pytest.mark.parametrize("python", [sys.executable, "no-such-python"])
def test_a_python_without_anomalib_is_refused_before_any_work(python: str) -> None:
    """The one line names the interpreter and the command that makes a fitting one."""
    with pytest.raises(ConfigError, match="make compare") as caught:
        compare([], profile="lite", seeds=1, peers=Path(python), console=silent())
    assert python in str(caught.value)


def test_a_set_without_masks_is_refused_before_any_work(tmp_path: Path) -> None:
    """The pixel figures of a comparison need ground truth."""
    folder = write_set(tmp_path / "set", masks=False)
    python = interpreter_that_runs("", tmp_path)
    with pytest.raises(ConfigError, match="no masks"):
        compare([folder], profile="lite", seeds=1, peers=python, console=silent())


def test_two_sets_of_one_name_are_refused(tmp_path: Path) -> None:
    """Their rows could not be told apart."""
    folders = [write_set(tmp_path / parent / "bolt") for parent in "ab"]
    python = interpreter_that_runs("", tmp_path)
    with pytest.raises(ConfigError, match="two sets are called 'bolt'"):
        compare(folders, profile="lite", seeds=1, peers=python, console=silent())


def test_the_peers_runner_compiles_and_imports_nothing_of_ours() -> None:
    """It runs where linewarden is not installed."""
    tree = ast.parse(RUNNER.read_text(encoding="utf-8"))
    compile(tree, str(RUNNER), "exec")
    modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert not {module.split(".")[0] for module in modules} & {"shared", "detector", "deploy", "ingest", "alerting"}


def test_the_peers_share_our_torch() -> None:
    """Both environments have the same torch, torchvision and timm, so that only the method differs."""
    ours = PYPROJECT.read_text(encoding="utf-8")
    pins = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    shared = [pin for pin in pins if pin.split("==")[0] in {"torch", "torchvision", "timm", "safetensors", "numpy"}]
    assert len(shared) == 5
    assert all(f'"{pin}"' in ours for pin in shared)
