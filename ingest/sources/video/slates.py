"""What the slates say: which part a picture shows, which was shown twice, which never came. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingest.slate import read_slate
from ingest.sources.base import Fault, Shot
from shared.errors import PictureError
from shared.log import Logger

_MOST_LOST: Final = 64


class SlateReader:
    """Cuts the strip off each picture and numbers the shot by it, over all restarts of the camera.

    A repeated number is passed over. A gap between two pictures of one session is told as lost parts, each at its share
    of the time between them; a longer one, or one over a restart, is only counted, since nobody knows their times.
    """

    def __init__(self, counts: Counter[str], log: Logger) -> None:
        self._counts = counts
        self._log = log
        self._before: Shot | None = None
        self._last_number = 0

    def restart(self) -> None:
        """Begin another session of the camera."""
        self._before = None

    def read(self, shot: Shot) -> list[Shot]:
        """Return the shots that one with a strip stands for. One without a picture has no number either: none."""
        if shot.pixels is None:
            # Its part is told as lost by the next number that is legible.
            self._counts["skipped_without_slate"] += 1
            return []
        try:
            picture, slate = read_slate(np.asarray(shot.pixels, dtype=np.uint8))
        except PictureError as error:
            self._log.warning("slate.illegible", error=str(error))
            self._counts["skipped_illegible_slate"] += 1
            return []
        if slate.number <= self._last_number:
            self._counts["skipped_repeated"] += 1
            return []
        return [*self._lost(shot, slate.number), self._numbered(shot, picture, slate.number, defect=slate.defect)]

    def _numbered(self, shot: Shot, picture: NDArray[np.uint8], number: int, *, defect: bool) -> Shot:
        self._last_number = number
        self._before = replace(shot, pixels=picture, number=number, label="defect" if defect else "good")
        return self._before

    def _lost(self, shot: Shot, number: int) -> list[Shot]:
        missing = number - self._last_number - 1
        if not missing:
            return []
        before = self._before
        self._log.warning("frames.lost", first=self._last_number + 1, last=number - 1)
        if before is None or missing > _MOST_LOST:
            self._counts["lost_untold"] += missing
            return []
        self._counts["lost"] += missing
        step_ns = (shot.captured_at_ns - before.captured_at_ns) // (missing + 1)
        return [
            Shot(
                None,
                before.captured_at_ns + step_ns * (index + 1),
                self._last_number + 1 + index,
                fault=Fault.LOST,
                time_source=shot.time_source,
            )
            for index in range(missing)
        ]
