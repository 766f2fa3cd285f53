"""The gate's benchmark and the simulated PLC's command, on few parts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from deploy.cli import app
from deploy.gate_bench import PROTOCOLS, bench_gate, table_of, to_json

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_in_simulated_time_every_protocol_rejects_the_right_parts(protocol: str) -> None:
    """Every part is answered in time, none is struck, and the gate's timing is within 5 ms."""
    (run,) = bench_gate(simulated=200, real=0, rate_hz=20, seed=3, protocols=(protocol,))
    assert run.sound
    assert (run.unanswered, run.late, run.counters.mismatches) == (0, 0, 0)
    assert run.rejected > 0
    assert json.loads(json.dumps(to_json([run])))["runs"][0]["sound"] is True
    assert table_of([run]).row_count > 0


def test_over_real_modbus_every_part_goes_where_it_was_decided() -> None:
    """In real time a busy machine may answer late, and late parts go out by default: never a wrong one on."""
    (run,) = bench_gate(simulated=0, real=60, rate_hz=20, seed=3, protocols=("modbus",))
    assert (run.wrong, run.struck) == (0, 0)
    assert run.counters.balanced


def test_the_simulated_plc_as_a_command(tmp_path: Path) -> None:
    """Without linewarden every part goes out by default, and each is in the log with what was decided and its fate."""
    log = tmp_path / "plc.jsonl"
    options = ["--url", "modbus://127.0.0.1:0", "--limit", "5", "--speed", "2", "--log", str(log)]
    result = CliRunner().invoke(app, ["plc-sim", *options])
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["kind"] for line in lines].count("decided") == 5
    fates = [line for line in lines if line["kind"] == "fate"]
    assert [fate["went"] for fate in fates] == ["out"] * 5


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--url", "http://127.0.0.1"], "modbus://127.0.0.1:1502"),
        (["--speed", "fast"], "--speed 'fast'"),
        (["--parts", "none"], "--parts 'none'"),
        (["--flap-mm", "50"], "--flap-mm"),
        (["--slowest", "2", "--fastest", "1"], "--slowest"),
    ],
)
def test_options_that_make_no_line_are_refused(options: list[str], named: str) -> None:
    """Bad options are one clear error, before anything is served."""
    result = CliRunner().invoke(app, ["plc-sim", *options])
    assert named in str(result.exception)
