"""Which pictures of a predicted stream can be believed. Pure."""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import Final

_REMEMBERED: Final = 15
_GAP: Final = 1.5


class Integrity:
    """Knows whether the picture before was sound: what is predicted from a broken one is broken, and not marked so.

    After damage nothing is believed until the next picture that stands alone. Over a `lossy` transport whole pictures
    may be missing, which a decoder does not notice: a gap in the time stamps is damage too.
    """

    def __init__(self, *, lossy: bool) -> None:
        self._sound = True
        self._lossy = lossy
        self._last_s: float | None = None
        self._periods_s: deque[float] = deque(maxlen=_REMEMBERED)

    def damaged(self) -> None:
        """Something could not be decoded."""
        self._sound = False

    def believes(self, *, key: bool, corrupt: bool, at_s: float | None) -> bool:
        """Return whether the next picture shows what was before the camera."""
        if self._lossy and at_s is not None:
            self._sound &= not self._is_gap(at_s)
        if corrupt:
            self._sound = False
        elif key:
            self._sound = True
        return self._sound

    def _is_gap(self, at_s: float) -> bool:
        last_s, self._last_s = self._last_s, at_s
        if last_s is None or at_s <= last_s:
            return False
        usual_s = median(self._periods_s) if len(self._periods_s) == _REMEMBERED else None
        self._periods_s.append(at_s - last_s)
        return usual_s is not None and at_s - last_s > _GAP * usual_s
