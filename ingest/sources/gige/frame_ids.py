"""What a camera's frame ids tell of frames that never came. Pure."""

from __future__ import annotations

from typing import Final

_HIGHEST: Final = 0xFFFF


class FrameIds:
    """Counts what is missing between one frame and the next.

    GigE Vision's ids have 16 bits, begin at 1 and go from 65,535 to 1; extended ids have 64 and never come round. A
    camera that does use 0, against the standard, is believed. An id that goes back, or half of the way round ahead, is
    no gap but a count that began again.
    """

    def __init__(self) -> None:
        self._last: int | None = None
        self._extended = False
        self._zero = False
        self.number = 0
        """The last frame's id as it would be if it never came round."""

    def missing_before(self, frame_id: int | None) -> int:
        """Take the next frame's id; return how many frames between it and the one before never came.

        A frame whose id is lost is taken to be the next one: what is missing beside it shows at the frame after it.
        """
        if frame_id is None:
            if self._last is not None:
                self._last = self._after(self._last)
                self.number += 1
            return 0
        last, self._last = self._last, frame_id
        self._extended = self._extended or frame_id > _HIGHEST
        self._zero = self._zero or frame_id == 0
        if last is None or not 0 <= (ahead := self._ahead(last, frame_id)) <= _HIGHEST // 2:
            self.number = frame_id
            return 0
        self.number += ahead
        return max(0, ahead - 1)

    def _after(self, frame_id: int) -> int:
        if self._extended:
            return frame_id + 1
        return (frame_id + 1) % (_HIGHEST + 1) if self._zero else frame_id % _HIGHEST + 1

    def _ahead(self, last: int, frame_id: int) -> int:
        if self._extended:
            return frame_id - last
        return (frame_id - last) % (_HIGHEST + 1 if self._zero else _HIGHEST)
