"""When a camera's state is told to operators: at each change, and not at each picture. Pure."""

from __future__ import annotations

from typing import Final

from shared.clock import NS_PER_S
from shared.domain import CameraState

_GOOD_IN_A_ROW: Final = 10
_GOOD_FOR_NS: Final = 10 * NS_PER_S


class Health:
    """The state of one camera as operators know it; nothing is known at first.

    Ten good pictures in a row, or ten seconds without a bad one, end a row of bad ones and an outage: a camera on the
    edge must not ring each time.
    """

    def __init__(self) -> None:
        self._known: tuple[CameraState, str] | None = None
        self._good = 0
        self._good_since_ns: int | None = None

    def lost(self, cause: str) -> bool:
        """Note that the camera is away; return whether that, or its cause, is news."""
        return self._worse(CameraState.OFFLINE, cause)

    def bad(self, cause: str) -> bool:
        """Note an exposure that gave nothing fit to be judged; return whether that is news."""
        if self._known is not None and self._known[0] is CameraState.BAD_PICTURE:
            # The first cause stands for the row.
            cause = self._known[1]
        return self._worse(CameraState.BAD_PICTURE, cause)

    def good(self, now_ns: int) -> bool:
        """Note a good picture; return whether the camera is thereby online again."""
        self._good += 1
        self._good_since_ns = now_ns if self._good_since_ns is None else self._good_since_ns
        sure = self._good >= _GOOD_IN_A_ROW or now_ns - self._good_since_ns >= _GOOD_FOR_NS
        if self._known is not None and not sure:
            return False
        return self._turn((CameraState.ONLINE, ""))

    def _worse(self, state: CameraState, cause: str) -> bool:
        self._good, self._good_since_ns = 0, None
        return self._turn((state, cause))

    def _turn(self, known: tuple[CameraState, str]) -> bool:
        news = known != self._known
        self._known = known
        return news
