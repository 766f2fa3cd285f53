"""The thread that reads one session of a live stream, beside the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from ingest.sources.base import Shot
from ingest.sources.video.decoded import Decoded, Pictures
from ingest.sources.waiting import Waiting
from shared.clock import Clock
from shared.errors import SourceError

Connect = Callable[[], Pictures]


class Reader:
    """Connects and reads until the stream ends, fails, or `stop`; whoever waits is told by `changed` and `over`.

    After `stop` it touches nothing that others share, even where it hangs in a call that returns only later.
    """

    def __init__(
        self, connect: Connect, shots_of: Callable[[Decoded], list[Shot]], waiting: Waiting, clock: Clock
    ) -> None:
        """Start the thread."""
        self._connect = connect
        self._shots_of = shots_of
        self._waiting = waiting
        self._clock = clock
        self._lock = threading.Lock()
        self._stopped = False
        self._opened = False
        self._heard_ns = clock.monotonic_ns()
        self._loop = asyncio.get_running_loop()
        self.changed = asyncio.Event()
        self.over = asyncio.Event()
        # A pool of one rather than a bare thread: it keeps what went wrong, for whoever asks for the outcome.
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="rtsp")
        self._outcome: Future[None] = thread.submit(self._run)
        self._outcome.add_done_callback(lambda _outcome: self._tell(self.changed, self.over))
        thread.shutdown(wait=False)

    @property
    def opened(self) -> bool:
        """Whether it is connected."""
        with self._lock:
            return self._opened

    @property
    def finished(self) -> bool:
        """Whether its thread is over."""
        return self._outcome.done()

    @property
    def silence_s(self) -> float:
        """How long ago the last picture's bytes came, or, before the first, the connection."""
        with self._lock:
            return (self._clock.monotonic_ns() - self._heard_ns) / 1e9

    def take(self) -> Shot | None:
        """Return the shot that waits longest, or None."""
        with self._lock:
            return self._waiting.take()

    def error(self) -> SourceError | None:
        """Return why a finished reader ended, or None where the stream just ended; raises what is no source's error."""
        error = self._outcome.exception()
        if error is None or isinstance(error, SourceError):
            return error
        raise error

    def stop(self) -> None:
        """End it at the next picture, or when its call returns."""
        with self._lock:
            self._stopped = True

    def _run(self) -> None:
        pictures = self._connect()
        try:
            with self._lock:
                self._opened = True
                self._heard_ns = self._clock.monotonic_ns()
            self._tell(self.changed)
            for decoded in pictures:
                with self._lock:
                    if self._stopped:
                        return
                    self._heard_ns = self._clock.monotonic_ns() - decoded.waited_ns
                    for shot in self._shots_of(decoded):
                        self._waiting.put(shot)
                self._tell(self.changed)
        finally:
            pictures.close()

    def _tell(self, *events: asyncio.Event) -> None:
        try:
            for event in events:
                self._loop.call_soon_threadsafe(event.set)
        except RuntimeError:
            # The loop is closed: nobody waits any more.
            self.stop()
