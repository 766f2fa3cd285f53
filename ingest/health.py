"""When a camera's state is told to operators: at each change, and not at each picture. Pure."""

from __future__ import annotations

from typing import Final

from shared.domain import CameraState

_GOOD_IN_A_ROW: Final = 10
"""So many good pictures end a row of bad ones: a camera on the edge must not ring at each of them."""


class Health:
    """The state of one camera as operators know it; nothing is known at first."""

    def __init__(self) -> None:
        self._state: CameraState | None = None
        self._good = 0

    def lost(self) -> bool:
        """Note that the camera is away; return whether that is news."""
        return self._turn(CameraState.OFFLINE)

    def bad(self) -> bool:
        """Note a picture that is not fit to be judged; return whether that is news."""
        self._good = 0
        return self._turn(CameraState.BAD_PICTURE)

    def good(self) -> bool:
        """Note a picture that is; return whether the camera is thereby online again."""
        self._good += 1
        if self._state is CameraState.BAD_PICTURE and self._good < _GOOD_IN_A_ROW:
            return False
        return self._turn(CameraState.ONLINE)

    def _turn(self, state: CameraState) -> bool:
        news = state is not self._state
        self._state = state
        return news
