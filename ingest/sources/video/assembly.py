"""Pictures out of the pieces that RTP carries: a piece is some units of a picture, or a part of one. Pure.

FFmpeg's own parser knows that a picture is whole when the next one begins: a picture period late, and with a camera
that is triggered, one part late. RTP's mark of a picture's last packet is not to be had from FFmpeg either.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import Final

from shared.clock import NS_PER_MS

_START: Final = re.compile(rb"\x00\x00\x01(.)", re.DOTALL)
_HEADER_BYTES: Final = 8
_REMEMBERED: Final = 30
_LEARNT: Final = 10
# How long no piece may have come. H.264's decoder notices when a piece is missing, H.265's does not.
_PAUSE_NS: Final = {"h264": 5 * NS_PER_MS, "hevc": 20 * NS_PER_MS}
_FIRST_SLICE_TYPES: Final = {"h264": frozenset({1, 2, 5}), "hevc": frozenset(range(32))}


@dataclass(frozen=True, slots=True)
class Unit:
    """The bytes of one picture. `whole` says that nothing speaks against it; times are UTC nanoseconds.

    `waited_ns` is how long it was kept for more to come.
    """

    data: bytes
    pts: int | None
    received_ns: int
    reported_ns: int | None
    whole: bool = True
    waited_ns: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """What one RTP packet brought."""

    data: bytes
    pts: int | None
    received_ns: int
    reported_ns: int | None


class Assembly:
    """Joins the pieces of one time stamp.

    A picture is given out when the next one begins, or before that, after a pause, when it looks whole: its last piece
    is shorter than pieces are when more follow, and it has as many slices as the camera's pictures have. A camera whose
    pieces are cut otherwise, or one piece of which came too late for its picture (it is thrown away), has each picture
    wait for the next. After `sure_ns` it waits no longer.
    """

    def __init__(self, codec: str, *, sure_ns: int) -> None:
        self._sure_ns = sure_ns
        self._pause_ns = _PAUSE_NS.get(codec)
        self._codec = codec
        self._pieces: list[Piece] = []
        self._slices = 0
        self._longest_bytes = 0
        self._usual_slices: deque[int] = deque(maxlen=_REMEMBERED)
        self._uneven = False
        self._given: int | None = None
        self._last_ns = 0
        self.too_late = 0
        """How many pieces came after their picture was given out."""

    @property
    def begun(self) -> bool:
        """Whether there is a picture that waits for more."""
        return bool(self._slices)

    @property
    def looks_whole(self) -> bool:
        """Whether the picture that waits may be given out after a pause."""
        return self._pause_ns is not None and bool(self._slices) and self._looks_whole()

    def add(self, piece: Piece, now_ns: int) -> Unit | None:
        """Take a piece; return the picture that it shows to be whole. `now_ns` is monotonic."""
        if piece.pts is not None and piece.pts == self._given:
            self.too_late += 1
            return None
        before = self._pieces[-1].pts if self._pieces else piece.pts
        # Parameters ahead of a picture may carry another stamp: they go with it.
        done = self._take(whole=True) if self._slices and piece.pts is not None and piece.pts != before else None
        if self._slices and self._ends_short() and not _START.match(piece.data[1:]):
            self._uneven = True
        self._pieces.append(piece)
        self._slices += self._count_slices(piece.data)
        self._longest_bytes = max(self._longest_bytes, len(piece.data))
        self._last_ns = now_ns
        return done

    def pause_left_ns(self, now_ns: int) -> int | None:
        """Return how long to wait before `release` may give the picture, or None where the next one has to come."""
        if not self._slices:
            return None
        due_ns = self._pause_ns if self._pause_ns is not None and self._looks_whole() else self._sure_ns
        return max(0, self._last_ns + min(due_ns, self._sure_ns) - now_ns)

    def release(self, now_ns: int) -> Unit | None:
        """Return the picture that waits, if its pause is over."""
        if self.pause_left_ns(now_ns) != 0:
            return None
        return self._take(whole=self._ends_short(), waited_ns=now_ns - self._last_ns)

    def rest(self) -> Unit | None:
        """Return the picture that waits, at the stream's end."""
        return self._take(whole=self._looks_whole()) if self._slices else None

    def _take(self, *, whole: bool, waited_ns: int = 0) -> Unit:
        pieces, self._pieces = self._pieces, []
        self._usual_slices.append(self._slices)
        self._slices = 0
        self._given = pieces[-1].pts
        return Unit(
            data=b"".join(piece.data for piece in pieces),
            pts=self._given,
            received_ns=pieces[0].received_ns,
            reported_ns=next((piece.reported_ns for piece in pieces if piece.reported_ns is not None), None),
            whole=whole,
            waited_ns=waited_ns,
        )

    def _looks_whole(self) -> bool:
        learnt = len(self._usual_slices) >= _LEARNT and not self._uneven and not self.too_late
        return learnt and self._slices >= max(self._usual_slices) and self._ends_short()

    def _ends_short(self) -> bool:
        # The first piece of a slice is longer by its start code and header than those that go on with it.
        return len(self._pieces[-1].data) < self._longest_bytes - _HEADER_BYTES

    def _count_slices(self, data: bytes) -> int:
        wanted = _FIRST_SLICE_TYPES.get(self._codec)
        if wanted is None:
            return 1
        found = (int(match[1][0]) for match in _START.finditer(data))
        kinds = (head & 0x1F if self._codec == "h264" else (head >> 1) & 0x3F for head in found)
        return sum(kind in wanted for kind in kinds)
