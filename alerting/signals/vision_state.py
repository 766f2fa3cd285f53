"""The state of a line in the words of OPC 40100-1 (Machine Vision), from what alerting writes to the store. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_STALE_MS: Final = 5_000
_EXECUTING_MS: Final = 5_000


class VisionState(StrEnum):
    """The states of the vision state machine."""

    PREOPERATIONAL = "Preoperational"
    HALTED = "Halted"
    ERROR = "Error"
    OPERATIONAL = "Operational"


class VisionStep(StrEnum):
    """The states of its automatic mode, within Operational. Lines run continuously: SingleExecution is not used."""

    INITIALIZED = "Initialized"
    READY = "Ready"
    SINGLE_EXECUTION = "SingleExecution"
    CONTINUOUS_EXECUTION = "ContinuousExecution"


@dataclass(frozen=True, slots=True)
class LineState:
    """A state, the step within Operational, and why, for people."""

    state: VisionState
    step: VisionStep | None = None
    why: str = ""


def line_state(  # noqa: PLR0911 - one for each state
    fields: Mapping[str, str], *, now_ms: int, decided_ms: int | None
) -> LineState:
    """Return a line's state from its `fields` in the store; `decided_ms` is when its last decision was heard of.

    Nothing written yet is Preoperational; a service that stopped, or wrote nothing for 5 s, is Halted, and so is a line
    that rejects everything until somebody resumes it; a gate that does not answer is an Error. A line that decided a
    part in the last 5 s, or has one open, is in ContinuousExecution.
    """
    updated = fields.get("updated_ms", "")
    if not updated.isdigit():
        return LineState(VisionState.PREOPERATIONAL, why="the line has not been started")
    if fields.get("state") == "STOPPED":
        return LineState(VisionState.HALTED, why="the service was stopped")
    if now_ms - int(updated) > _STALE_MS:
        return LineState(VisionState.HALTED, why=f"the service has been silent for {(now_ms - int(updated)) // 1000} s")
    if fields.get("halted"):
        return LineState(
            VisionState.HALTED, why=f"{fields['halted']}: every part is rejected until the line is resumed"
        )
    if fields.get("gate_connected") != "true":
        return LineState(VisionState.ERROR, why="the gate does not answer")
    dark = [
        name.removeprefix("camera.").removesuffix(".state")
        for name, state in fields.items()
        if name.startswith("camera.") and name.endswith(".state") and state != "online"
    ]
    if dark:
        return LineState(VisionState.ERROR, why=f"no usable pictures from {', '.join(sorted(dark))}")
    executing = decided_ms is not None and now_ms - decided_ms <= _EXECUTING_MS
    if executing or fields.get("open_parts", "0") != "0":
        return LineState(VisionState.OPERATIONAL, VisionStep.CONTINUOUS_EXECUTION)
    if decided_ms is None:
        return LineState(VisionState.OPERATIONAL, VisionStep.INITIALIZED, "no part yet")
    return LineState(VisionState.OPERATIONAL, VisionStep.READY)
