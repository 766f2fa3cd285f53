"""Video files and RTSP cameras, by PyAV. The only place that imports av."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from ingest.slate import read_slate
from ingest.sources.base import Shot
from ingest.sources.pacing import Pacer
from shared.clock import Clock
from shared.errors import DataError, PictureError, SourceError, SourceUnavailableError
from shared.log import get_logger
from shared.redaction import redact_address

LIVE_SCHEMES: Final = ("rtsp://", "rtsps://")
# Without `nobuffer`: it throws away the pictures that the probing looked at (docs/adr/0007).
_LIVE_OPTIONS: Final = {
    "rtsp_transport": "tcp",
    "flags": "low_delay",
    "max_delay": "0",
    "probesize": "65536",
    "fpsprobesize": "0",
    "analyzeduration": "1",
}
_OPEN_S: Final = 3.0


def map_error(error: BaseException, address: str) -> SourceError:
    """Return our error for one of FFmpeg's."""
    # Only what FFmpeg says is wrong: its whole message repeats the address, with the password.
    text = getattr(error, "strerror", None) or type(error).__name__
    match error:
        case av.error.HTTPUnauthorizedError() | av.error.HTTPForbiddenError():
            return SourceUnavailableError(f"camera {address} refuses the login", "Correct user and password.")
        case av.error.InvalidDataError():
            return SourceUnavailableError(f"camera {address} sends no readable video ({text})", "Check its codec.")
        case _:
            return SourceUnavailableError(
                f"camera {address} does not answer ({text})", "Check its address and its network."
            )


class VideoSource:
    """Frames of a stream or a file. A live stream that ends is lost; a file that ends is over.

    With `slate`, each frame carries its part number in a strip, which is cut off; a repeated number is passed over.
    Decoding runs in a thread of this source's own, so that a slow camera holds up no other.
    """

    def __init__(
        self, url: str, *, rate_hz: float, limit: int | None, slate: bool, stall_ms: int, clock: Clock
    ) -> None:
        self._url = url
        self._address = redact_address(url)
        self._live = url.startswith(LIVE_SCHEMES)
        self._pacer = None if self._live else Pacer(clock, rate_hz)
        self._limit = limit
        self._slate = slate
        self._stall_s = stall_ms / 1_000
        self._clock = clock
        self.counts: Counter[str] = Counter()
        self._count = 0
        self._last_number = 0
        self._container: Any = None
        self._frames: Iterator[Any] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="video")
        self._log = get_logger("ingest").bind(source=self._address)

    @property
    def numbers_parts(self) -> bool:
        """Only slates number parts."""
        return self._slate

    async def open(self) -> None:
        """Connect, or open the file."""
        await self._in_thread(self._open)

    async def read(self) -> Shot | None:
        """Return the next frame. A live frame's `captured_at_ns` is its receipt."""
        if self._frames is None:
            raise AssertionError("read() before open()")
        while self._limit is None or max(self._count, self._last_number) < self._limit:
            pixels = await self._in_thread(self._next)
            captured_at_ns = self._clock.utc_ns()
            if pixels is None:
                if self._live:
                    raise SourceUnavailableError(f"camera {self._address} ended its stream", "Is it still running?")
                return None
            shot = self._shot(pixels, captured_at_ns)
            if shot is not None:
                if self._pacer is not None:
                    await self._pacer.tick()
                    shot = Shot(shot.pixels, self._clock.utc_ns(), shot.number, shot.label)
                self._count += 1
                return shot
        return None

    async def close(self) -> None:
        """Disconnect."""
        container, self._container, self._frames = self._container, None, None
        if container is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, container.close)

    def _shot(self, pixels: NDArray[np.uint8], captured_at_ns: int) -> Shot | None:
        if not self._slate:
            return Shot(pixels, captured_at_ns)
        try:
            picture, slate = read_slate(pixels)
        except PictureError as error:
            self._log.warning("slate.illegible", error=str(error))
            self.counts["skipped_illegible_slate"] += 1
            return None
        if slate.number <= self._last_number:
            self.counts["skipped_repeated"] += 1
            return None
        if slate.number > self._last_number + 1:
            self._log.warning("frames.lost", first=self._last_number + 1, last=slate.number - 1)
        self._last_number = slate.number
        return Shot(picture, captured_at_ns, slate.number, "defect" if slate.defect else "good")

    def _open(self) -> None:
        if not self._live and not Path(self._url).is_file():
            raise DataError(f"video file {self._address!r} does not exist", "Give a video file or an rtsp:// address.")
        options = _LIVE_OPTIONS if self._live else {}
        self._container = av.open(self._url, options=options, timeout=(_OPEN_S, self._stall_s))
        if not self._container.streams.video:
            raise SourceUnavailableError(f"camera {self._address} has no video", "Check what it sends.")
        stream = self._container.streams.video[0]
        stream.codec_context.thread_count = 1
        self._frames = iter(self._container.decode(stream))

    def _next(self) -> NDArray[np.uint8] | None:
        if self._frames is None:
            return None
        frame = next(self._frames, None)
        return None if frame is None else np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)

    async def _in_thread(self, step: Any) -> Any:  # noqa: ANN401 - opening returns nothing, reading returns pixels
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, step)
        except (FFmpegError, OSError) as error:
            raise map_error(error, self._address) from error
