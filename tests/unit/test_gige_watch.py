from __future__ import annotations

from dataclasses import dataclass

import pytest

from ingest.sources.gige.watch import Watch
from shared.clock import NS_PER_MS
from shared.errors import LossCause

FREE_RUN = Watch("LW01", period_s=0.1, stall_s=1.5)
TRIGGERED = Watch("LW01", period_s=None, stall_s=1.5)
NOW_NS = 10_000 * NS_PER_MS


@dataclass
class FixedPulse:
    """A pulse that says what it is told to."""

    unanswered_since_ns: int | None = None
    refused: bool = False
    controlled: bool = True

    def poll(self, now_ns: int) -> None:
        """Stay the same."""

    def close(self) -> None:
        """Nothing to close."""


def loss(watch: Watch, pulse: FixedPulse, *, silent_ms: int = 0, in_control: bool = True) -> LossCause | None:
    """Return why the camera is lost now, whose last picture came so long ago."""
    last_ns = NOW_NS - silent_ms * NS_PER_MS
    found = watch.loss(NOW_NS, last_frame_ns=last_ns, pulse=pulse, in_control=in_control)
    return None if found is None else found.cause


def unanswered(ms: int) -> FixedPulse:
    """Return the pulse of a camera that has not answered for so long."""
    return FixedPulse(unanswered_since_ns=NOW_NS - ms * NS_PER_MS)


def test_silence_is_normal_with_triggers() -> None:
    """A triggered camera that answers is not lost, however long it sent nothing; one in free run is after its stall."""
    assert loss(TRIGGERED, FixedPulse(), silent_ms=9_000) is None
    assert loss(FREE_RUN, FixedPulse(), silent_ms=1_590) is None
    assert loss(FREE_RUN, FixedPulse(), silent_ms=1_600) is LossCause.STALLED


@pytest.mark.parametrize("watch", [FREE_RUN, TRIGGERED])
def test_a_camera_that_does_not_answer_is_lost(watch: Watch) -> None:
    """Half a second's questions without answer and without picture are a lost camera; a picture meanwhile is not."""
    assert loss(watch, unanswered(340), silent_ms=341) is None
    assert loss(watch, unanswered(350), silent_ms=351) is LossCause.UNREACHABLE
    assert loss(watch, unanswered(900), silent_ms=10) is None


def test_a_camera_that_restarted_is_lost_at_once() -> None:
    """A camera that nobody controls any more, or whose host has nobody there, is lost without waiting."""
    assert loss(TRIGGERED, FixedPulse(controlled=False)) is LossCause.UNREACHABLE
    assert loss(TRIGGERED, FixedPulse(), in_control=False) is LossCause.UNREACHABLE
    assert loss(TRIGGERED, FixedPulse(refused=True)) is LossCause.UNREACHABLE
