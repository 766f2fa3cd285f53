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


def loss(
    watch: Watch, pulse: FixedPulse, *, silent_ms: int = 0, broken_ms: int | None = None, in_control: bool = True
) -> LossCause | None:
    """Return why the camera is lost now, whose last whole picture came so long ago, and its last broken one."""
    whole_ns = NOW_NS - silent_ms * NS_PER_MS
    last_ns = whole_ns if broken_ms is None else NOW_NS - broken_ms * NS_PER_MS
    found = watch.loss(NOW_NS, last_frame_ns=last_ns, last_whole_ns=whole_ns, pulse=pulse, in_control=in_control)
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
    """300 ms of questions without answer and without whole picture are a lost camera; a picture meanwhile is not."""
    assert loss(watch, unanswered(290), silent_ms=291) is None
    assert loss(watch, unanswered(300), silent_ms=301) is LossCause.UNREACHABLE
    assert loss(watch, unanswered(900), silent_ms=299) is None
    assert loss(watch, unanswered(900), silent_ms=300) is LossCause.UNREACHABLE


def test_a_broken_picture_is_no_sign_of_life() -> None:
    """A picture whose rest never came is told late: a camera that died while it sent one is noticed all the same."""
    assert loss(FREE_RUN, unanswered(360), silent_ms=370, broken_ms=150) is LossCause.UNREACHABLE
    assert loss(FREE_RUN, FixedPulse(), silent_ms=9_000, broken_ms=10) is None


def test_a_camera_that_restarted_is_lost_at_once() -> None:
    """A camera that nobody controls any more, or whose host has nobody there, is lost without waiting."""
    assert loss(TRIGGERED, FixedPulse(controlled=False)) is LossCause.UNREACHABLE
    assert loss(TRIGGERED, FixedPulse(), in_control=False) is LossCause.UNREACHABLE
    assert loss(TRIGGERED, FixedPulse(refused=True)) is LossCause.UNREACHABLE
