"""What had come before anybody read: the pictures of the time that opening a stream took. Pure."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Final

from ingest.sources.video.assembly import Piece
from shared.clock import NS_PER_MS, NS_PER_S

_AT_ONCE_NS: Final = 2 * NS_PER_MS
_PAUSE_NS: Final = 20 * NS_PER_MS


class Backlog:
    """Keeps the pieces that come without a pause at first, and dates them back by their time stamps from the last.

    All of them are read in one moment, which would otherwise be the time of their receipt.
    """

    def __init__(self, time_base: Fraction) -> None:
        self._time_base = time_base
        self._pieces: list[Piece] = []
        self._last_ns: int | None = None
        self.over = False

    def takes(self, piece: Piece, *, blocked_ns: int, now_ns: int) -> bool:
        """Take a piece that was had within a moment; the first for which its reader had to wait ends the backlog."""
        if self.over or blocked_ns > _AT_ONCE_NS:
            return False
        self._pieces.append(piece)
        self._last_ns = now_ns
        return True

    def left_ns(self, now_ns: int) -> int | None:
        """Return how long to wait for another piece before it is over, or None where none was taken yet."""
        return None if self._last_ns is None else max(0, self._last_ns + _PAUSE_NS - now_ns)

    def dated(self) -> list[Piece]:
        """End it, and return its pieces with the times at which they were received."""
        self.over = True
        pieces, self._pieces = self._pieces, []
        return [self._dated(piece, pieces[-1]) for piece in pieces]

    def _dated(self, piece: Piece, last: Piece) -> Piece:
        if piece.pts is None or last.pts is None or piece.pts > last.pts:
            return piece
        earlier_ns = round((last.pts - piece.pts) * self._time_base * NS_PER_S)
        return replace(piece, received_ns=last.received_ns - earlier_ns)
