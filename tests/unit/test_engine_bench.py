"""What a batch costs, measured on a real model, is what planning reads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from typer.testing import CliRunner

from deploy.cli import app
from deploy.cli_plan import read_costs
from detector.training.fit import train
from tests.plates import write_plates

if TYPE_CHECKING:
    from pathlib import Path


def test_measured_costs_become_a_plan(tmp_path: Path) -> None:
    """Larger batches cost more, a frame has its JPEG's size, and `plan` answers for each number of cameras."""
    folder = write_plates(tmp_path / "plates", good=12)
    train([folder]).save(tmp_path / "model")
    costs, plans = tmp_path / "costs.json", tmp_path / "plans.json"
    measured = CliRunner().invoke(
        app,
        [
            "bench",
            "engine",
            "--model",
            str(tmp_path / "model"),
            "--pictures",
            str(folder),
            "--max-batch",
            "3",
            "--rounds",
            "5",
            "--json",
            str(costs),
        ],
    )
    assert measured.exit_code == 0, measured.output
    assert "engine torch, 1 threads" in measured.output
    batches, frame_kib = read_costs(costs)
    assert len(batches) == 3
    assert 0 < batches[0].median_ms < batches[2].median_ms
    assert 1 < frame_kib < 30
    planned = CliRunner().invoke(
        app,
        [
            "plan",
            "--costs",
            str(costs),
            "--cameras",
            "1",
            "--cameras",
            "1000",
            "--fps",
            "2",
            "--deadline-ms",
            "5000",
            "--seconds",
            "10",
            "--json",
            str(plans),
        ],
    )
    assert planned.exit_code == 0, planned.output
    few, many = json.loads(plans.read_text())
    assert (few["replicas"], few["partitions"], many["partitions"]) == (1, 1, 1000)
    assert many["replicas"] * many["streams_each"] >= 1000
    assert many["each"]["missed"] == 0


def test_it_is_the_engine_that_a_detector_would_take(exported_model: Path, tmp_path: Path) -> None:
    """By `auto` the one that the model was exported for, in its lanes; one that it was not exported for is refused."""
    folder = write_plates(tmp_path / "plates", good=4)
    costs = tmp_path / "costs.json"
    argv = ["bench", "engine", "--model", str(exported_model), "--pictures", str(folder), "--threads", "2"]
    done = CliRunner().invoke(app, [*argv, "--max-batch", "2", "--rounds", "2", "--json", str(costs)])
    assert done.exit_code == 0, done.output
    assert json.loads(costs.read_text())["engine"] == "openvino"
    refused = CliRunner().invoke(app, [*argv, "--engine", "openvino-int8"])
    assert refused.exit_code != 0
    assert "openvino-int8" in str(refused.exception or refused.output)
