"""From decoded pictures to shots."""

from __future__ import annotations

from collections import Counter
from typing import Final

from ingest.sources.base import Fault, Shot
from ingest.sources.exposure_clock import ExposureClock
from ingest.sources.video.decoded import Decoded, PictureKind
from ingest.sources.video.slates import SlateReader
from shared.log import Logger

COUNTED: Final = (
    "undecodable",
    "damaged",
    "late_pieces",
    "overrun",
    "untold",
    "times_not_taken",
    "picture_changed",
    "lost",
    "lost_untold",
    "skipped_repeated",
    "skipped_illegible_slate",
    "skipped_without_slate",
)


def new_counts() -> Counter[str]:
    """Return all counts at zero: threads add to them while others look, so that no name may come later."""
    return Counter(dict.fromkeys(COUNTED, 0))


class Exposures:
    """Makes shots of what a camera sends, over all its sessions, and tells when the pictures change.

    Not for two threads at once.
    """

    def __init__(self, clock: ExposureClock, *, slate: bool, counts: Counter[str], log: Logger) -> None:
        self._clock = clock
        self._slates = SlateReader(counts, log) if slate else None
        self._counts = counts
        self._log = log
        self._kind: PictureKind | None = None
        self._was_usable = True

    def restart(self) -> None:
        """Begin another session of the camera."""
        if self._slates is not None:
            self._slates.restart()

    def of(self, decoded: Decoded) -> list[Shot]:
        """Return the shots that this picture stands for: one, but with slates none or several."""
        self._notice(decoded)
        implausible = self._clock.implausible
        captured_at_ns, time_source = self._clock.exposed_at(decoded.reported_ns, decoded.received_ns)
        self._counts["times_not_taken"] += self._clock.implausible - implausible
        fault = Fault.UNREADABLE if decoded.pixels is None else None
        shot = Shot(decoded.pixels, captured_at_ns, time_source=time_source, fault=fault)
        return [shot] if self._slates is None else self._slates.read(shot)

    def _notice(self, decoded: Decoded) -> None:
        kind, before = decoded.kind, self._kind
        if kind is not None and kind != before:
            self._kind = kind
            if before is not None:
                self._counts["picture_changed"] += 1
                self._log.warning("picture.changed", old=str(before), new=str(kind))
        usable = decoded.pixels is not None
        if usable != self._was_usable:
            self._was_usable = usable
            self._log.warning("pictures.readable" if usable else "pictures.unreadable")
