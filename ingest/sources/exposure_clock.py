"""Whose clock says when a frame was exposed. Pure."""

from __future__ import annotations

from typing import Final, Literal

from ingest.sources.base import TimeSource
from shared.clock import NS_PER_MS, NS_PER_S

_AHEAD_NS: Final = 5 * NS_PER_MS
_OLDEST_NS: Final = 2 * NS_PER_S


class ExposureClock:
    """Chooses between a camera's time stamp and the time of receipt.

    With `auto` the camera's is taken while it is plausible: at most 2 s old, and not more than 5 ms in the future,
    which two synchronised clocks may differ by. A clock that is off by more is not synchronised, and deadlines
    reckoned from it would be wrong. A stamp in the future is cut to the receipt.
    """

    def __init__(self, choice: Literal["auto", "camera", "receipt"]) -> None:
        self._choice = choice
        self.implausible = 0
        """How many stamps were not taken."""

    def exposed_at(self, camera_ns: int | None, received_ns: int) -> tuple[int, TimeSource]:
        """Return the UTC instant of an exposure in nanoseconds, and whose clock told it."""
        if camera_ns is None or self._choice == "receipt":
            return received_ns, TimeSource.RECEIPT
        if self._choice == "camera":
            return camera_ns, TimeSource.CAMERA
        if -_AHEAD_NS <= received_ns - camera_ns <= _OLDEST_NS:
            return min(camera_ns, received_ns), TimeSource.CAMERA
        self.implausible += 1
        return received_ns, TimeSource.RECEIPT
