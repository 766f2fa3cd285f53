"""A live RTSP camera."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from ingest.sources.base import Shot
from ingest.sources.exposure_clock import ExposureClock
from ingest.sources.video.decoded import Pictures
from ingest.sources.video.errors import stalled
from ingest.sources.video.exposures import Exposures, new_counts
from ingest.sources.video.live import LiveStream
from ingest.sources.video.reader import Reader
from ingest.sources.waiting import Waiting
from shared.camera_settings import RtspSettings
from shared.clock import Clock, wait_event
from shared.errors import LossCause, SourceUnavailableError
from shared.log import get_logger
from shared.redaction import redact_address

LIVE_SCHEMES: Final = ("rtsp://", "rtsps://")
# Our own watch comes first; what FFmpeg may hang in ends by its own time-outs, so much later.
_GRACE_S: Final = 0.5
_MOST_GIVEN_UP: Final = 3
_CLOSE_S: Final = 0.5
_UDP_REORDER_US: Final = 100_000


def live_options(settings: RtspSettings, *, secure: bool, stall_s: float) -> dict[str, str]:
    """Return what FFmpeg is told.

    Without `nobuffer`: it throws away the pictures that the probing looked at (docs/adr/0007).
    """
    options = {
        "rtsp_transport": settings.transport,
        "allowed_media_types": "video",
        "flags": "low_delay",
        # Packets as they come: what belongs together is found by `Assembly`.
        "fflags": "noparse",
        "max_delay": "0" if settings.transport == "tcp" else str(_UDP_REORDER_US),
        "probesize": "65536",
        "fpsprobesize": "0",
        "analyzeduration": "1",
        "timeout": str(round((stall_s + _GRACE_S) * 1e6)),
    }
    if secure:
        options["tls_verify"] = "1" if settings.verify_certificate else "0"
        if settings.ca_file is not None:
            options["ca_file"] = str(settings.ca_file)
    return options


class RtspSource:
    """Frames of a live stream. One that ends is lost, and so is one that gives no picture for `stall_ms`.

    Reading and decoding run in a thread of each session's own. What its reader is too slow for loses its picture, the
    oldest first, and is still told.
    """

    def __init__(
        self,
        url: str,
        *,
        settings: RtspSettings,
        limit: int | None,
        slate: bool,
        stall_ms: int,
        trusts: Literal["auto", "camera", "receipt"],
        clock: Clock,
        connect: Callable[[], Pictures] | None = None,
    ) -> None:
        """`trusts` is whose clock tells the exposure; `connect` opens a session in the place of FFmpeg."""
        self._url = url
        self._address = redact_address(url)
        self._settings = settings
        self._limit = limit
        self._slate = slate
        self._stall_s = stall_ms / 1_000
        self._clock = clock
        self._connect = connect or self._connect_live
        self._log = get_logger("ingest").bind(source=self._address)
        self.counts = new_counts()
        self._exposures = Exposures(ExposureClock(trusts), slate=slate, counts=self.counts, log=self._log)
        self._count = 0
        self._reader: Reader | None = None
        self._given_up: list[Reader] = []

    @property
    def numbers_parts(self) -> bool:
        """Only slates number parts."""
        return self._slate

    async def open(self) -> None:
        """Connect; raises `SourceUnavailableError` with its cause."""
        await self.close()
        self._given_up = [reader for reader in self._given_up if not reader.finished]
        if len(self._given_up) >= _MOST_GIVEN_UP:
            raise self._hangs(f"has {_MOST_GIVEN_UP} earlier connections that hang")
        self._exposures.restart()
        reader = self._reader = Reader(self._connect, self._exposures.of, Waiting(self.counts), self._clock)
        open_s = self._settings.open_ms / 1_000
        while True:
            reader.changed.clear()
            if reader.opened:
                return
            if reader.finished:
                raise self._why(reader)
            left_s = open_s - reader.silence_s
            if left_s <= 0:
                raise self._hangs(f"did not open within {open_s:g} s")
            await wait_event(self._clock, reader.changed, left_s)

    async def read(self) -> Shot | None:
        """Return the exposure that waits longest, or wait for the next."""
        reader = self._reader
        if reader is None:
            raise AssertionError("read() before open()")
        while self._limit is None or self._count < self._limit:
            reader.changed.clear()
            # Asked first: its last shots may come until it is over.
            finished = reader.finished
            shot = reader.take()
            if shot is not None:
                self._count = max(self._count + 1, shot.number or 0)
                return shot
            if finished:
                raise self._why(reader)
            left_s = self._stall_s - reader.silence_s
            if left_s <= 0:
                raise stalled(self._address)
            await wait_event(self._clock, reader.changed, left_s)
        return None

    async def close(self) -> None:
        """Disconnect. A thread that does not end at once is left to FFmpeg's time-out."""
        reader, self._reader = self._reader, None
        if reader is None:
            return
        reader.stop()
        self._given_up.append(reader)
        # One that is silent will not hear of it.
        if reader.opened and reader.silence_s < self._stall_s:
            await wait_event(self._clock, reader.over, _CLOSE_S)

    def _connect_live(self) -> Pictures:
        return LiveStream(
            self._url,
            self._address,
            options=live_options(self._settings, secure=self._url.startswith("rtsps://"), stall_s=self._stall_s),
            timeouts_s=(self._settings.open_ms / 1_000 + _GRACE_S, self._stall_s + _GRACE_S),
            stall_s=self._stall_s,
            lossy=self._settings.transport == "udp",
            counts=self.counts,
            clock=self._clock,
        )

    def _why(self, reader: Reader) -> Exception:
        return reader.error() or SourceUnavailableError(
            f"camera {self._address} ended its stream", "Is it still running?", cause=LossCause.ENDED
        )

    def _hangs(self, what: str) -> SourceUnavailableError:
        return SourceUnavailableError(
            f"camera {self._address} {what}",
            "Is it, or the network to it, frozen? A slow camera needs a longer rtsp.open_ms.",
            cause=LossCause.STALLED,
        )
