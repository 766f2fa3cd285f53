"""The gate's benchmark and the simulated PLC's command, on few parts."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from alerting.signals.handshake import BlockGateSignals
from deploy.cli import app
from deploy.gate_bench import PROTOCOLS, bench_gate, to_json
from deploy.gate_figures import GateFigures, table_of
from deploy.gate_line import served
from shared.errors import SignalUnreachableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from deploy.gate_line import GateRecord
    from shared.domain import Signal
    from shared.plc import Delivery


class DeadGate(BlockGateSignals):
    """A gate that opens and beats, and takes no signal."""

    async def send(self, signal: Signal) -> Delivery:
        """Refuse."""
        raise SignalUnreachableError(f"signal {signal.sequence} went nowhere")


class SlowGate(BlockGateSignals):
    """A gate whose every answer takes 250 ms longer, so that those to most parts come too late."""

    async def send(self, signal: Signal) -> Delivery:
        """Take long."""
        await self._clock.sleep(0.25)
        return await super().send(signal)


def missed(run: GateFigures) -> set[str]:
    """Return the names of the bounds that a run missed."""
    return {bound.name for bound in run.bounds if not bound.held}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_in_simulated_time_every_protocol_rejects_the_right_parts(protocol: str) -> None:
    """Alerting decides each part once, every answer comes in time, none is struck, and timing is within 5 ms."""
    (run,) = bench_gate(simulated=200, real=0, rate_hz=20, seed=3, protocols=(protocol,))
    assert missed(run) == set()
    assert (run.unanswered, run.late, run.counters.mismatches) == (0, 0, 0)
    assert run.bad == run.bad_rejected == run.rejected > 0
    assert run.passed == run.good_passed == 200 - run.bad
    assert json.loads(json.dumps(to_json([run])))["runs"][0]["sound"] is True
    assert table_of([run]).row_count > len(run.bounds)


def test_over_real_modbus_every_part_goes_where_it_was_decided() -> None:
    """In real time a busy machine may answer late, and late parts go out by default: never a wrong one on."""
    (run,) = bench_gate(simulated=0, real=60, rate_hz=20, seed=3, protocols=("modbus",))
    assert (run.wrong, run.struck, run.undecided, run.repeated) == (0, 0, 0, 0)
    assert run.counters.balanced


def test_a_gate_that_takes_no_signal_is_not_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    """No part went the wrong way, and none was answered, passed or rejected by a signal either: the bounds say so."""
    monkeypatch.setattr("deploy.gate_bench.BlockGateSignals", DeadGate)
    (run,) = bench_gate(simulated=60, real=0, rate_hz=20, seed=3, protocols=("modbus",))
    assert not run.sound
    assert missed(run) == {
        "good passed",
        "bad rejected by signal",
        "signals not answered",
        "acknowledged, p99, ms",
    }
    assert (run.passed, run.unanswered) == (0, 60)


def test_a_gate_that_answers_late_is_not_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts whose results come behind their deadline go out by default, which is safe and no good gate."""
    monkeypatch.setattr("deploy.gate_bench.BlockGateSignals", SlowGate)
    (run,) = bench_gate(simulated=60, real=0, rate_hz=20, seed=3, protocols=("modbus",))
    assert {"good passed", "late or mismatched"} <= missed(run)


def test_a_process_that_stands_still_shows_in_the_gates_timing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate's acts are held against the host's clock: a belt that exists in the process alone is never late."""

    @asynccontextmanager
    async def blocked(*args: Any, **kwargs: Any) -> AsyncIterator[GateRecord]:  # noqa: ANN401 - passed on as they are
        async def block() -> None:
            while True:
                time.sleep(0.06)  # noqa: ASYNC251 - what is tested is a process that stands still
                await asyncio.sleep(0.1)

        async with served(*args, **kwargs) as record:
            blocking = asyncio.create_task(block())
            yield record
            blocking.cancel()

    monkeypatch.setattr("deploy.gate_bench.served", blocked)
    (run,) = bench_gate(simulated=0, real=40, rate_hz=20, seed=3, protocols=("modbus",))
    assert "timing error, p99, ms" in missed(run)
    assert run.timing_max_ms > 30


def test_each_bound_can_fail() -> None:
    """Whatever a run does worse than its bound makes it unsound, and that bound is the one that says so."""
    (simulated,) = bench_gate(simulated=60, real=0, rate_hz=20, seed=3, protocols=("modbus",))
    run = replace(simulated, time="real", acknowledge_p99_ms=10.0)
    assert run.sound
    for changed, name in (
        ({"wrong": 1}, "wrong way, hit for another"),
        ({"struck": 1}, "wrong way, hit for another"),
        ({"undecided": 1}, "undecided, decided twice"),
        ({"repeated": 1}, "undecided, decided twice"),
        ({"counters": replace(run.counters, passed=0)}, "the PLC's counts balance"),
        ({"good_passed": run.good_passed - 1}, "good passed"),
        ({"bad_rejected": run.bad_rejected - 1}, "bad rejected by signal"),
        ({"unanswered": 1}, "signals not answered"),
        ({"late": 1}, "late or mismatched"),
        ({"timing_p99_ms": 5.01}, "timing error, p99, ms"),
        ({"acknowledge_p99_ms": 10.01}, "acknowledged, p99, ms"),
    ):
        assert missed(replace(run, **changed)) == {name}
    none = replace(run, parts=0, bad=0, good_passed=0, bad_rejected=0)
    assert not none.sound


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
