"""From a picture's bytes to its pixels, by PyAV."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import av
import numpy as np
from av.error import EOFError as StreamEnd
from av.error import FFmpegError
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from ingest.sources.video.assembly import Unit
from ingest.sources.video.decoded import Decoded, PictureKind
from ingest.sources.video.integrity import Integrity
from ingest.sources.video.reported_time import ReportedTime

# Accurate rounding costs little and takes a level or two of error out of each colour.
_SCALING: Final = Interpolation.BILINEAR | Interpolation.ACCURATE_RND
# H.265's decoder shows a picture that is cut as if it were whole.
_CREDULOUS: Final = "hevc"
_PENDING: Final = 64


class Decoder:
    """Decodes one stream's pictures; for one thread.

    Colours become RGB by the matrix and range that the stream names; where it names none, by BT.601 and the limited
    range. Counts `undecodable` and `damaged` pictures, and `times_not_taken`, into `counts`.
    """

    def __init__(self, stream: Any, *, lossy: bool, counts: Counter[str]) -> None:  # noqa: ANN401 - av has no such type
        self._codec: Any = stream.codec_context
        # Cameras share the processor by being many, and each thread more would hold a picture back.
        self._codec.thread_count = 1
        self._time_base = stream.time_base
        self._integrity = Integrity(lossy=lossy)
        self._reported = ReportedTime()
        self._reformatter = VideoReformatter()
        self._pending: dict[int, Unit] = {}
        self._counts = counts

    def decode(self, unit: Unit) -> Iterator[Decoded]:
        """Return the exposures that this picture completes: itself, but where pictures are reordered or lost."""
        if not unit.whole and self._codec.name == _CREDULOUS:
            yield self._undecodable(unit)
            return
        packet = av.Packet(unit.data)
        packet.pts = unit.pts
        packet.time_base = self._time_base
        if unit.pts is not None:
            self._pending[unit.pts] = unit
        yield from self._frames(packet, unit)

    def rest(self) -> Iterator[Decoded]:
        """Return the exposures that the decoder holds back, at the stream's end."""
        yield from self._frames(None, None)

    def _frames(self, packet: Any, unit: Unit | None) -> Iterator[Decoded]:  # noqa: ANN401 - av has no such type
        try:
            frames = self._codec.decode(packet)
        except StreamEnd:
            return
        except FFmpegError:
            if unit is not None:
                self._pending.pop(-1 if unit.pts is None else unit.pts, None)
                yield self._undecodable(unit)
            return
        for frame in frames:
            its_own = self._pending.pop(frame.pts, unit)
            # Pictures come out in the order of their times: what is still to come is not older.
            for pts in sorted(pts for pts in self._pending if frame.pts is not None and pts < frame.pts):
                yield self._undecodable(self._pending.pop(pts))
            if its_own is not None:
                kind = PictureKind(self._codec.name, frame.width, frame.height)
                pixels, reported_ns = self._pixels(frame), self._reported_ns(its_own)
                yield Decoded(pixels, kind, its_own.received_ns, reported_ns, its_own.waited_ns)
        while len(self._pending) > _PENDING:
            yield self._undecodable(self._pending.pop(min(self._pending)))

    def _undecodable(self, unit: Unit) -> Decoded:
        self._integrity.damaged()
        self._counts["undecodable"] += 1
        return Decoded(None, None, unit.received_ns, self._reported_ns(unit), unit.waited_ns)

    def _reported_ns(self, unit: Unit) -> int | None:
        stamp_s = None if unit.pts is None else float(unit.pts * self._time_base)
        before = self._reported.disagreed
        taken_ns = self._reported.of(stamp_s, unit.reported_ns)
        self._counts["times_not_taken"] += self._reported.disagreed - before
        return taken_ns

    def _pixels(self, frame: Any) -> NDArray[np.uint8] | None:  # noqa: ANN401 - av has no such type
        at_s = None if frame.pts is None else float(frame.pts * self._time_base)
        if not self._integrity.believes(key=frame.key_frame, corrupt=frame.is_corrupt, at_s=at_s):
            self._counts["damaged"] += 1
            return None
        try:
            rgb = self._reformatter.reformat(frame, format="rgb24", interpolation=_SCALING, threads=1)
        except FFmpegError:
            self._counts["undecodable"] += 1
            return None
        return np.asarray(rgb.to_ndarray(), dtype=np.uint8)
