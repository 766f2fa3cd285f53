"""Whether a camera is lost. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ingest.sources.gige.pulse import Pulse
from shared.clock import NS_PER_MS, NS_PER_S
from shared.errors import LossCause, SourceUnavailableError

_UNANSWERED_NS: Final = 300 * NS_PER_MS


@dataclass(frozen=True, slots=True)
class Watch:
    """Judges by the pulse, and in free run by the pictures too.

    With triggers silence is normal and only the pulse tells. In free run (`period_s` is the time between two pictures)
    a camera that answers and sends none for `stall_s` and one period is lost too.
    """

    camera: str
    period_s: float | None
    stall_s: float

    def loss(
        self, now_ns: int, *, last_frame_ns: int, last_whole_ns: int, pulse: Pulse, in_control: bool
    ) -> SourceUnavailableError | None:
        """Return why the camera is lost, or None.

        Times are monotonic: of the last frame, and of the last one that was whole. One that is not may be told long
        after its camera died, when its rest has not come in time, and is no sign of life.
        """
        if pulse.refused:
            return SourceUnavailableError(f"camera {self.camera} is gone: nobody answers at its address")
        asked_ns = pulse.unanswered_since_ns
        if asked_ns is not None and (silent_ns := now_ns - max(asked_ns, last_whole_ns)) >= _UNANSWERED_NS:
            return SourceUnavailableError(
                f"camera {self.camera} has not answered for {silent_ns // NS_PER_MS} ms",
                "Check its cable and its power.",
            )
        if not pulse.controlled or not in_control:
            return SourceUnavailableError(
                f"camera {self.camera} is no longer controlled from here", "It restarted, or its network was away."
            )
        if self.period_s is not None and now_ns - last_frame_ns >= (self.stall_s + self.period_s) * NS_PER_S:
            silent_ms = (now_ns - last_frame_ns) // NS_PER_MS
            return SourceUnavailableError(
                f"camera {self.camera} answers, but has sent no picture for {silent_ms} ms",
                "Check its trigger and packet size.",
                cause=LossCause.STALLED,
            )
        return None
