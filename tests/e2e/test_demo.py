"""The demo, as a new user runs it: real pictures, a real PLC protocol, and figures that add up."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

KEYS = {
    "announced", "passed", "rejected", "defaulted", "defects", "caught", "missed", "false_rejects", "latency_ms",
    "not_carried_out", "ledger_balanced", "plc_mismatches",
}  # fmt: skip


def demo(out: Path, *arguments: str | Path) -> dict[str, Any]:
    """Run the demo; return its figures."""
    done = subprocess.run(
        [sys.executable, "-m", "deploy.cli", "demo", "--json", str(out), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    assert set(figures) == KEYS
    assert set(figures["latency_ms"]) == {"p50", "p95", "p99"}
    return figures


def check_sound(figures: dict[str, Any], parts: int) -> None:
    """Hold the figures against each other."""
    assert figures["announced"] == parts
    assert figures["passed"] + figures["rejected"] + figures["defaulted"] == parts
    assert figures["caught"] + figures["missed"] == figures["defects"]
    assert figures["ledger_balanced"] is True
    assert figures["plc_mismatches"] == 0


@pytest.mark.timeout(120)
def test_the_rendered_line_balances_and_finds_its_defects(tmp_path: Path, lite_model: Path) -> None:
    """Defects are caught and good parts pass; nothing comes by default."""
    figures = demo(tmp_path / "out.json", "--parts", "60", "--model", lite_model)
    check_sound(figures, 60)
    assert figures["defaulted"] == 0
    assert figures["caught"] > figures["missed"]
    assert figures["false_rejects"] <= 3


@pytest.mark.timeout(120)
def test_a_gate_that_rests_open_is_served_too(tmp_path: Path, lite_model: Path) -> None:
    """On a reject-asserted line the same parts are rejected, and the ledger balances with the PLC."""
    figures = demo(tmp_path / "out.json", "--parts", "40", "--model", lite_model, "--gate", "reject-asserted")
    check_sound(figures, 40)
    assert figures["rejected"] > 0


@pytest.mark.kafka
@pytest.mark.redis
@pytest.mark.rtsp
@pytest.mark.data
@pytest.mark.timeout(120)
@pytest.mark.usefixtures("rtsp")
def test_real_pictures_run_over_rtsp_kafka_redis_and_modbus(
    tmp_path: Path, kafka_url: str, redis_url: str, data_dir: Path
) -> None:
    """Each picture of the folder arrives as one part, with its label, and gets its decision."""
    source = data_dir / "hazelnut_toy"
    servers = ("--bus", kafka_url, "--store", redis_url)
    # Of 20 good pictures no more can be learned than what one in ten scores.
    figures = demo(tmp_path / "out.json", "--source", source, *servers, "--parts", "62", "--reject-at", "1.0")
    check_sound(figures, 62)
    assert figures["defects"] == 34
    assert figures["caught"] >= 10
