"""The camera's own time of each picture, from its RTCP sender reports. Pure."""

from __future__ import annotations

from typing import Final

from shared.clock import NS_PER_MS, NS_PER_S

_AGREE_NS: Final = 5 * NS_PER_MS


class ReportedTime:
    """Takes a camera's time once two pictures in a row agree: as far apart by it as by their time stamps.

    FFmpeg puts the first report that arrives on the picture before the one that it belongs to.
    """

    def __init__(self) -> None:
        self._last: tuple[float, int] | None = None
        self._agreed = False
        self.disagreed = 0
        """How many reported times were not taken, but for the first one or two."""

    def of(self, stamp_s: float | None, reported_ns: int | None) -> int | None:
        """Return the UTC time in nanoseconds of a picture, or None where the camera tells none that can be taken.

        `stamp_s` is the picture's time stamp in the stream.
        """
        if stamp_s is None or reported_ns is None:
            self._last = None
            return None
        last, self._last = self._last, (stamp_s, reported_ns)
        if last is None:
            return None
        apart_ns = round((stamp_s - last[0]) * NS_PER_S)
        if abs(reported_ns - last[1] - apart_ns) > _AGREE_NS:
            self.disagreed += self._agreed
            return None
        self._agreed = True
        return reported_ns
