"""Opening a stream or a file by PyAV, and what its packets tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import av
from av.error import FFmpegError

from ingest.sources.video.assembly import Piece
from ingest.sources.video.errors import map_error, unreadable

_NS_PER_US: Final = 1_000


def open_video(
    url: str, address: str, *, options: Mapping[str, str], timeouts_s: tuple[float, float] | None
) -> tuple[Any, Any]:
    """Return a container and its first video stream; raises `SourceUnavailableError`.

    `address` is how the url may be printed; time-outs are those of opening and of each read.
    """
    container = _opened(url, address, options, timeouts_s)
    streams = container.streams.video
    if not streams or streams[0].codec_context is None:
        container.close()
        raise unreadable(address, "no video" if not streams else "unknown codec")
    return container, streams[0]


def piece_of(packet: Any, now_ns: int) -> Piece:  # noqa: ANN401 - av has no such type
    """Return what a packet that was received at this UTC time brought."""
    # The camera's UTC time, from its sender reports: the first 8 bytes of AVProducerReferenceTime, in microseconds.
    found = bytes(packet.get_sidedata("prft")) if packet.has_sidedata("prft") else b""
    reported_ns = int.from_bytes(found[:8], "little", signed=True) * _NS_PER_US if found else None
    return Piece(bytes(packet), packet.pts, now_ns, reported_ns)


def _opened(url: str, address: str, options: Mapping[str, str], timeouts_s: tuple[float, float] | None) -> Any:  # noqa: ANN401 - av has no such type
    try:
        return av.open(url, options=dict(options), timeout=timeouts_s)
    except (FFmpegError, OSError) as error:
        refusal = map_error(error, address)
    # Raised out here: an error keeps the one that it was raised in, and FFmpeg's has the password in it.
    raise refusal
