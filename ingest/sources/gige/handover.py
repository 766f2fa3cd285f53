"""From a camera's thread to the event loop, bounded."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from contextlib import suppress

from ingest.sources.base import Shot
from ingest.sources.waiting import Waiting


class Handover:
    """Shots on their way to the event loop, in order, bounded as `Waiting` says: `most_pictures` keep their picture."""

    def __init__(self, loop: asyncio.AbstractEventLoop, most_pictures: int) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self._waiting = Waiting(self.counts, most_pictures=most_pictures)
        self._failure: Exception | None = None
        self._changed = asyncio.Event()

    def put(self, shot: Shot) -> None:
        """Hand a shot over; any thread may."""
        with self._lock:
            self._waiting.put(shot)
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
                if (shot := self._waiting.take()) is not None:
                    return shot
                if self._failure is not None:
                    raise self._failure
                self._changed.clear()
            await self._changed.wait()

    def _wake(self) -> None:
        # A loop that was closed meanwhile has nobody who waits.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._changed.set)
