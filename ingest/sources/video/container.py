"""One open stream or file, decoded by PyAV."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import av
import numpy as np
from av.error import EOFError as StreamEnd
from av.error import FFmpegError
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from ingest.sources.video.decoded import Decoded, PictureKind
from ingest.sources.video.errors import map_error, stalled, unreadable
from ingest.sources.video.integrity import Integrity
from ingest.sources.video.reported_time import ReportedTime
from shared.clock import NS_PER_S, Clock
from shared.errors import SourceUnavailableError

_NS_PER_US: Final = 1_000
# Accurate rounding costs little and takes a level or two of error out of each colour.
_SCALING: Final = Interpolation.BILINEAR | Interpolation.ACCURATE_RND
# FFmpeg hands such a picture out when the first bytes of the next one are here.
_HELD_BACK: Final = frozenset({"h264", "hevc"})
_PENDING: Final = 64


@dataclass(frozen=True, slots=True)
class _Arrival:
    """When a picture's first bytes were here, and what the camera says of its exposure: UTC nanoseconds."""

    received_ns: int
    reported_ns: int | None


class Container:
    """An open stream; belongs to the thread that made it.

    Colours become RGB by the matrix and range that the stream names; where it names none, by BT.601 and the limited
    range. Counts `undecodable` and `damaged` pictures, and `times_not_taken`, into `counts`.
    """

    def __init__(
        self,
        url: str,
        address: str,
        *,
        options: Mapping[str, str],
        timeouts_s: tuple[float, float] | None,
        silence_s: float,
        lossy: bool,
        counts: Counter[str],
        clock: Clock,
    ) -> None:
        """Open it; raises `SourceUnavailableError`.

        `address` is how the url may be printed. After `silence_s` without a picture FFmpeg gives up, and so does this.
        """
        self._address = address
        self._silence_s = silence_s
        self._clock = clock
        self._counts = counts
        self._integrity = Integrity(lossy=lossy)
        self._reported = ReportedTime()
        self._reformatter = VideoReformatter()
        self._pending: dict[int, _Arrival] = {}
        asked_ns = clock.monotonic_ns()
        try:
            self._container: Any = _opened(url, address, options, timeouts_s)
        except SourceUnavailableError:
            # What FFmpeg says of its own time-out is that the data are invalid.
            if self._silent_since(asked_ns):
                raise stalled(address) from None
            raise
        streams = self._container.streams.video
        if not streams or streams[0].codec_context is None:
            self._container.close()
            raise unreadable(address, "no video" if not streams else "unknown codec")
        self._stream: Any = streams[0]
        # Cameras share the processor by being many, and each thread more would hold a picture back.
        self._stream.codec_context.thread_count = 1

    def __iter__(self) -> Iterator[Decoded]:
        """Give each exposure."""
        first_bytes_ns: int | None = None
        asked_ns = self._clock.monotonic_ns()
        lost: SourceUnavailableError | None = None
        try:
            for packet in self._container.demux(self._stream):
                silent = self._silent_since(asked_ns)
                now_ns = self._clock.utc_ns()
                held_back = self._stream.codec_context.name in _HELD_BACK
                received_ns = first_bytes_ns if held_back and first_bytes_ns is not None else now_ns
                first_bytes_ns = now_ns
                yield from self._decoded(packet, _Arrival(received_ns, self._reported_ns(packet)))
                if silent:
                    # That was the picture held back, which FFmpeg hands out at its time-out, and then waits again.
                    lost = stalled(self._address)
                    break
                asked_ns = self._clock.monotonic_ns()
        except StreamEnd:
            return
        except (FFmpegError, OSError) as error:
            silent = self._silent_since(asked_ns)
            lost = stalled(self._address) if silent else map_error(error, self._address)
        if lost is not None:
            raise lost

    def close(self) -> None:
        """Disconnect."""
        self._container.close()

    def _decoded(self, packet: Any, arrival: _Arrival) -> Iterator[Decoded]:  # noqa: ANN401 - av has no such type
        if packet.is_corrupt:
            self._integrity.damaged()
        try:
            frames = packet.decode()
        except StreamEnd:
            return
        except FFmpegError:
            yield self._undecodable(arrival)
            return
        if packet.size and packet.pts is not None:
            self._pending[packet.pts] = arrival
        for frame in frames:
            its_own = self._pending.pop(frame.pts, arrival)
            # Pictures come out in the order of their times: what is still to come is not older.
            for pts in sorted(pts for pts in self._pending if frame.pts is not None and pts < frame.pts):
                yield self._undecodable(self._pending.pop(pts))
            kind = PictureKind(self._stream.codec_context.name, frame.width, frame.height)
            yield Decoded(self._pixels(frame), kind, its_own.received_ns, its_own.reported_ns)
        while len(self._pending) > _PENDING:
            yield self._undecodable(self._pending.pop(min(self._pending)))

    def _silent_since(self, asked_ns: int) -> bool:
        return (self._clock.monotonic_ns() - asked_ns) / NS_PER_S >= self._silence_s

    def _undecodable(self, arrival: _Arrival) -> Decoded:
        self._integrity.damaged()
        self._counts["undecodable"] += 1
        return Decoded(None, None, arrival.received_ns, arrival.reported_ns)

    def _reported_ns(self, packet: Any) -> int | None:  # noqa: ANN401 - av has no such type
        """Return the camera's UTC time of a packet's picture: the first 8 bytes of AVProducerReferenceTime, in us."""
        found = bytes(packet.get_sidedata("prft")) if packet.has_sidedata("prft") else b""
        told_ns = int.from_bytes(found[:8], "little", signed=True) * _NS_PER_US if found else None
        stamp_s = None if packet.pts is None else float(packet.pts * packet.time_base)
        before = self._reported.disagreed
        taken_ns = self._reported.of(stamp_s, told_ns)
        self._counts["times_not_taken"] += self._reported.disagreed - before
        return taken_ns

    def _pixels(self, frame: Any) -> NDArray[np.uint8] | None:  # noqa: ANN401 - av has no such type
        at_s = None if frame.pts is None else float(frame.time)
        if not self._integrity.believes(key=frame.key_frame, corrupt=frame.is_corrupt, at_s=at_s):
            self._counts["damaged"] += 1
            return None
        try:
            rgb = self._reformatter.reformat(frame, format="rgb24", interpolation=_SCALING, threads=1)
        except FFmpegError:
            self._counts["undecodable"] += 1
            return None
        return np.asarray(rgb.to_ndarray(), dtype=np.uint8)


def _opened(url: str, address: str, options: Mapping[str, str], timeouts_s: tuple[float, float] | None) -> Any:  # noqa: ANN401 - av has no such type
    try:
        return av.open(url, options=dict(options), timeout=timeouts_s)
    except (FFmpegError, OSError) as error:
        refusal = map_error(error, address)
    # Raised out here: an error keeps the one that it was raised in, and FFmpeg's has the password in it.
    raise refusal
