"""Shots that wait for their reader: bounded, the newest ones with their pictures. Pure."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace
from typing import Final

from ingest.sources.base import Fault, Shot

_MOST_PICTURES: Final = 16
_MOST_BYTES: Final = 64 * 1024 * 1024
_MOST_TOLD: Final = 1_000


class Waiting:
    """Keeps the order. When too many wait, the oldest lose their pictures, not their place: each is still told.

    An exposure that was told by nobody for a thousand others is only counted, as `untold`.
    """

    def __init__(
        self,
        counts: Counter[str],
        *,
        most_pictures: int = _MOST_PICTURES,
        most_bytes: int = _MOST_BYTES,
        most_told: int = _MOST_TOLD,
    ) -> None:
        self._counts = counts
        self._most_pictures = most_pictures
        self._most_bytes = most_bytes
        self._most_told = most_told
        self._shots: deque[Shot] = deque()
        self._pictures = 0
        self._bytes = 0

    def put(self, shot: Shot) -> None:
        """Let a shot wait."""
        self._shots.append(shot)
        if shot.pixels is not None:
            self._pictures += 1
            self._bytes += shot.pixels.nbytes
        # The newest keeps its picture, however large that is.
        while self._pictures > 1 and (self._pictures > self._most_pictures or self._bytes > self._most_bytes):
            self._strip_oldest()
        if len(self._shots) > self._most_told:
            self.take()
            self._counts["untold"] += 1

    def take(self) -> Shot | None:
        """Return the shot that waits longest, or None."""
        if not self._shots:
            return None
        shot = self._shots.popleft()
        if shot.pixels is not None:
            self._pictures -= 1
            self._bytes -= shot.pixels.nbytes
        return shot

    def _strip_oldest(self) -> None:
        for index, shot in enumerate(self._shots):
            if shot.pixels is not None:
                self._shots[index] = replace(shot, pixels=None, fault=Fault.OVERRUN)
                self._pictures -= 1
                self._bytes -= shot.pixels.nbytes
                self._counts["overrun"] += 1
                return
