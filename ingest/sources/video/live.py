"""One session of a live stream: a thread that fetches beside the one that decodes."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

from av.error import FFmpegError

from ingest.sources.video.assembly import Assembly, Piece, Unit
from ingest.sources.video.backlog import Backlog
from ingest.sources.video.container import open_video, piece_of
from ingest.sources.video.decoded import Decoded
from ingest.sources.video.decoder import Decoder
from ingest.sources.video.errors import map_error, stalled
from shared.clock import NS_PER_S, Clock
from shared.errors import SourceUnavailableError

_MOST_UNITS: Final = 16
# Of the stall: what came before a silence has to be told before that is.
_SURE: Final = 0.6


class LiveStream:
    """Fetches in a thread of its own, since only time tells whether a picture is whole while FFmpeg waits for more.

    Where decoding is too slow, fetching waits for it, and the camera for that.
    """

    def __init__(
        self,
        url: str,
        address: str,
        *,
        options: Mapping[str, str],
        timeouts_s: tuple[float, float],
        stall_s: float,
        lossy: bool,
        counts: Counter[str],
        clock: Clock,
    ) -> None:
        """Connect; raises `SourceUnavailableError`. `options` must ask for packets as they come: `noparse`."""
        self._address = address
        self._stall_s = stall_s
        self._clock = clock
        self._heard_ns = clock.monotonic_ns()
        try:
            self._container, self._stream = open_video(url, address, options=options, timeouts_s=timeouts_s)
        except SourceUnavailableError as error:
            raise self._why(error) from None
        self._heard_ns = clock.monotonic_ns()
        self._decoder = Decoder(self._stream, lossy=lossy, counts=counts)
        self._assembly = Assembly(self._stream.codec_context.name, sure_ns=round(_SURE * stall_s * NS_PER_S))
        self._backlog = Backlog(self._stream.time_base)
        self._at_once = self._stream.codec_context.name == "mjpeg"
        self._counts = counts
        self._change = threading.Condition()
        self._units: deque[Unit] = deque()
        self._stopped = False
        self._ended = False
        fetcher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="rtsp-fetch")
        self._outcome: Future[SourceUnavailableError | None] = fetcher.submit(self._fetch)
        fetcher.shutdown(wait=False)

    def __iter__(self) -> Iterator[Decoded]:
        """Give each exposure."""
        while (unit := self._next()) is not None:
            yield from self._decoder.decode(unit)
        yield from self._decoder.rest()
        error = self._outcome.result()
        if error is not None:
            raise error

    def close(self) -> None:
        """Stop fetching, and return when that has ended: at the next packet, or by FFmpeg's time-out."""
        with self._change:
            self._stopped = True
            self._change.notify_all()
        self._outcome.exception()

    def _next(self) -> Unit | None:
        with self._change:
            while not self._units:
                now_ns = self._clock.monotonic_ns()
                if self._ended:
                    self._end_backlog(now_ns)
                    return self._units.popleft() if self._units else self._assembly.rest()
                if (unit := self._assembly.release(now_ns)) is not None:
                    return unit
                self._change.wait(self._patience_s(now_ns))
            self._change.notify_all()
            return self._units.popleft()

    def _patience_s(self, now_ns: int) -> float | None:
        if self._backlog.over:
            left_ns = self._assembly.pause_left_ns(now_ns)
        elif (left_ns := self._backlog.left_ns(now_ns)) == 0:
            self._end_backlog(now_ns)
        return None if left_ns is None else left_ns / NS_PER_S

    def _fetch(self) -> SourceUnavailableError | None:
        """Return why fetching ended, or None at the stream's end."""
        asked_ns = self._heard_ns
        try:
            for packet in self._container.demux(self._stream):
                self._heard_ns = self._clock.monotonic_ns()
                if packet.size and not self._took(packet, self._heard_ns - asked_ns):
                    break
                asked_ns = self._clock.monotonic_ns()
        except (FFmpegError, OSError) as error:
            return self._why(map_error(error, self._address))
        finally:
            self._container.close()
            with self._change:
                self._ended = True
                self._change.notify_all()
        return None

    def _took(self, packet: Any, blocked_ns: int) -> bool:  # noqa: ANN401 - av has no such type
        piece = piece_of(packet, self._clock.utc_ns())
        with self._change:
            self._change.wait_for(lambda: self._stopped or len(self._units) < _MOST_UNITS)
            begun = self._assembly.begun
            if not self._backlog.takes(piece, blocked_ns=blocked_ns, now_ns=self._heard_ns):
                self._end_backlog(self._heard_ns)
                self._add(piece, self._heard_ns)
            if self._units or self._assembly.looks_whole or not begun:
                self._change.notify_all()
            return not self._stopped

    def _end_backlog(self, now_ns: int) -> None:
        for piece in self._backlog.dated():
            self._add(piece, now_ns)

    def _add(self, piece: Piece, now_ns: int) -> None:
        too_late = self._assembly.too_late
        if self._at_once:
            self._units.append(Unit(piece.data, piece.pts, piece.received_ns, piece.reported_ns))
        elif (unit := self._assembly.add(piece, now_ns)) is not None:
            self._units.append(unit)
        self._counts["late_pieces"] += self._assembly.too_late - too_late

    def _why(self, error: SourceUnavailableError) -> SourceUnavailableError:
        # What FFmpeg says of its own time-out is that the data are invalid.
        silent_s = (self._clock.monotonic_ns() - self._heard_ns) / NS_PER_S
        return stalled(self._address) if silent_s >= self._stall_s else error
