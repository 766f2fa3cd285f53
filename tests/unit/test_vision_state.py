import pytest

from alerting.signals.vision_state import LineState, VisionState, VisionStep, line_state

NOW_MS = 1_000_000
RUNNING = {"state": "RUNNING", "gate_connected": "true", "open_parts": "0", "updated_ms": str(NOW_MS)}


@pytest.mark.parametrize(
    ("changed", "decided_ms", "state", "step"),
    [
        ({"updated_ms": ""}, None, VisionState.PREOPERATIONAL, None),
        ({"state": "STOPPED"}, NOW_MS, VisionState.HALTED, None),
        ({"updated_ms": str(NOW_MS - 6_000)}, NOW_MS, VisionState.HALTED, None),
        ({"halted": "3 rejects in a row"}, NOW_MS, VisionState.HALTED, None),
        ({"halted": "3 rejects in a row", "gate_connected": "false"}, NOW_MS, VisionState.HALTED, None),
        ({"halted": ""}, NOW_MS, VisionState.OPERATIONAL, VisionStep.CONTINUOUS_EXECUTION),
        ({"gate_connected": "false"}, NOW_MS, VisionState.ERROR, None),
        ({"camera.left.state": "offline"}, NOW_MS, VisionState.ERROR, None),
        ({"camera.left.state": "online"}, NOW_MS, VisionState.OPERATIONAL, VisionStep.CONTINUOUS_EXECUTION),
        ({}, None, VisionState.OPERATIONAL, VisionStep.INITIALIZED),
        ({"open_parts": "3"}, None, VisionState.OPERATIONAL, VisionStep.CONTINUOUS_EXECUTION),
        ({}, NOW_MS - 6_000, VisionState.OPERATIONAL, VisionStep.READY),
    ],
)
def test_a_line_s_state_in_the_words_of_machine_vision(
    changed: dict[str, str], decided_ms: int | None, state: VisionState, step: VisionStep | None
) -> None:
    """Each state says what an MES must know: may it send parts, is one inspected, or must somebody come."""
    found = line_state({**RUNNING, **changed}, now_ms=NOW_MS, decided_ms=decided_ms)
    assert (found.state, found.step) == (state, step)


def test_a_halted_line_says_why() -> None:
    """Whoever looks knows what happened, and that somebody must come."""
    found = line_state({**RUNNING, "halted": "3 rejects in a row"}, now_ms=NOW_MS, decided_ms=NOW_MS)
    assert found.why == "3 rejects in a row: every part is rejected until the line is resumed"


def test_a_line_that_never_ran_is_preoperational() -> None:
    """A store that is empty is no fault."""
    assert line_state({}, now_ms=NOW_MS, decided_ms=None) == LineState(
        VisionState.PREOPERATIONAL, why="the line has not been started"
    )
