"""From a camera's thread to the event loop, bounded."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import suppress
from dataclasses import replace
from typing import Final

from ingest.sources.base import Fault, Shot

_MOST_SHOTS: Final = 10_000


class Handover:
    """Shots on their way to the event loop, in order; at most `most_pictures` of them with their picture.

    When the loop does not keep up, further exposures lose their picture and go on as `Fault.LOST`: their parts are
    still known of. Beyond 10,000 waiting shots they are only counted.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, most_pictures: int) -> None:
        self._loop = loop
        self._most_pictures = most_pictures
        self._lock = threading.Lock()
        self._shots: deque[Shot] = deque()
        self._pictures = 0
        self._failure: Exception | None = None
        self._changed = asyncio.Event()
        self.overflowed = 0
        """How many pictures were let go because the event loop did not keep up."""
        self.dropped = 0
        """How many exposures were let go without a trace but this count."""

    def put(self, shot: Shot) -> None:
        """Hand a shot over; any thread may."""
        with self._lock:
            if shot.pixels is not None and self._pictures >= self._most_pictures:
                self.overflowed += 1
                shot = replace(shot, pixels=None, fault=Fault.LOST)
            if len(self._shots) >= _MOST_SHOTS:
                self.dropped += 1
                return
            self._pictures += shot.pixels is not None
            self._shots.append(shot)
        self._wake()

    def fail(self, error: Exception) -> None:
        """Let `get` raise the error once it has given all shots; any thread may."""
        with self._lock:
            self._failure = error
        self._wake()

    async def get(self) -> Shot:
        """Return the next shot. Cancelling it loses none."""
        while True:
            with self._lock:
                if self._shots:
                    shot = self._shots.popleft()
                    self._pictures -= shot.pixels is not None
                    return shot
                if self._failure is not None:
                    raise self._failure
                self._changed.clear()
            await self._changed.wait()

    def _wake(self) -> None:
        # A loop that was closed meanwhile has nobody who waits.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._changed.set)
