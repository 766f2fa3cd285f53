"""Which engines a processor has instructions for, and what is said of the others."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from deploy.speed import contenders
from detector.runtime import openvino_engine
from detector.runtime.openvino_silent import the_core
from shared.errors import EngineError


def test_a_processor_without_the_instructions_is_told() -> None:
    """Int8 that is emulated would be slower than float32."""
    with pytest.raises(EngineError, match="no instructions for INT8"):
        openvino_engine.check_processor(OldProcessor(), "openvino-int8")
    openvino_engine.check_processor(OldProcessor(), "openvino")


def test_a_processor_that_only_emulates_int8_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenVINO says that it can, but products overflow: what the gate found on another processor is not so here."""
    monkeypatch.setattr(openvino_engine, "has_int8_dot", lambda: False)
    with pytest.raises(EngineError, match="no instructions for INT8"):
        openvino_engine.check_processor(the_core(), "openvino-int8")
    openvino_engine.check_processor(the_core(), "openvino")


def test_a_benchmark_of_all_engines_leaves_out_what_cannot_run_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """It tells so, and measures the others."""
    monkeypatch.setattr(openvino_engine, "has_int8_dot", lambda: False)
    with capture_logs() as logged:
        able = [name for name in ("torch", "openvino", "openvino-int8", "onnx") if contenders._runs_here(name)]
    assert able == ["torch", "openvino", "onnx"]
    assert [(entry["event"], entry["engine"]) for entry in logged] == [("engine.left_out", "openvino-int8")]


class OldProcessor:
    """An OpenVINO core on a processor that knows float32 alone."""

    def get_property(self, _device: str, _name: str) -> list[str]:
        """Say so."""
        return ["FP32"]
