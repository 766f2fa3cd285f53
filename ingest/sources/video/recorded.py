"""One video file, decoded from its beginning to its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from av.error import FFmpegError

from ingest.sources.video.assembly import Unit
from ingest.sources.video.container import open_video, piece_of
from ingest.sources.video.decoded import Decoded
from ingest.sources.video.decoder import Decoder
from ingest.sources.video.errors import map_error
from shared.clock import Clock


class FileStream:
    """The pictures of a file; FFmpeg's parser finds where each begins."""

    def __init__(self, path: str, *, counts: Counter[str], clock: Clock) -> None:
        """Open it; raises `SourceUnavailableError`."""
        self._path = path
        self._clock = clock
        self._container, self._stream = open_video(path, path, options={}, timeouts_s=None)
        self._decoder = Decoder(self._stream, lossy=False, counts=counts)

    def __iter__(self) -> Iterator[Decoded]:
        """Give each exposure; raises `SourceUnavailableError` where the file cannot be read on."""
        try:
            for packet in self._container.demux(self._stream):
                if packet.size:
                    piece = piece_of(packet, self._clock.utc_ns())
                    yield from self._decoder.decode(Unit(piece.data, piece.pts, piece.received_ns, None))
        except (FFmpegError, OSError) as error:
            raise map_error(error, self._path) from None
        yield from self._decoder.rest()

    @property
    def rate_hz(self) -> float | None:
        """Return the average rate that the file names, if it names one."""
        rate = self._stream.average_rate
        return float(rate) if rate else None

    def close(self) -> None:
        """Let go of the file."""
        self._container.close()
