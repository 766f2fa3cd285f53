"""The pictures that an evaluation got most wrong, kept while it streams: a few, however large the set."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

import cv2
import numpy as np

from detector.overlay import overlay_jpeg
from detector.pictures.labelled import GOOD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from detector.model.base import Inspection
    from detector.pictures.labelled import Sample

_SIDE_PX = 256
_QUALITY = 88
_MARKED = (255, 60, 60)


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One picture as JPEGs: as it came, with the mask outlined, and with the model's map and regions over it."""

    name: str
    defect: str
    score: float
    wrong: bool
    picture: bytes
    marked: bytes
    found: bytes


@dataclass(slots=True, eq=False)
class Gallery:
    """The `each` worst defects (the least anomalous) and the `each` worst good parts (the most anomalous)."""

    region_level: float
    each: int = 12
    _misses: list[tuple[float, int, Exhibit]] = field(default_factory=list)
    _alarms: list[tuple[float, int, Exhibit]] = field(default_factory=list)
    _order: Iterator[int] = field(default_factory=count)

    def add(self, sample: Sample, inspection: Inspection, *, rejected: bool) -> None:
        """Keep a picture if it is among the worst so far."""
        good = sample.file.defect == GOOD
        # Raw: calibrated scores are cut off at the top, where the worst false alarms are.
        badness = inspection.raw_score if good else -inspection.raw_score
        kept = self._alarms if good else self._misses
        if len(kept) == self.each and badness <= kept[0][0]:
            return
        exhibit = self._exhibit(sample, inspection, wrong=rejected == good)
        entry = (badness, -next(self._order), exhibit)
        if len(kept) < self.each:
            heapq.heappush(kept, entry)
        else:
            heapq.heapreplace(kept, entry)

    def misses(self) -> list[Exhibit]:
        """Return the defects with the lowest scores, the worst first."""
        return [exhibit for _, _, exhibit in sorted(self._misses, reverse=True)]

    def alarms(self) -> list[Exhibit]:
        """Return the good parts with the highest scores, the worst first."""
        return [exhibit for _, _, exhibit in sorted(self._alarms, reverse=True)]

    def _exhibit(self, sample: Sample, inspection: Inspection, *, wrong: bool) -> Exhibit:
        small = _small(sample.picture)
        found = overlay_jpeg(
            sample.picture,
            inspection.anomaly_map,
            inspection.regions,
            low=0.5 * self.region_level,
            high=2.0 * self.region_level,
        )
        return Exhibit(
            name=sample.file.path.name,
            defect=sample.file.defect,
            score=inspection.score,
            wrong=wrong,
            picture=_jpeg(small),
            marked=_jpeg(_outlined(small, sample.mask)),
            found=found,
        )


def _small(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    scale = _SIDE_PX / max(picture.shape[:2])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _outlined(picture: NDArray[np.uint8], mask: NDArray[np.bool_] | None) -> NDArray[np.uint8]:
    if mask is None:
        return picture
    size = (picture.shape[1], picture.shape[0])
    small = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    outlines, _ = cv2.findContours(small, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(picture.copy(), outlines, -1, _MARKED, 1), dtype=np.uint8)


def _jpeg(picture: NDArray[np.uint8]) -> bytes:
    done, encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise AssertionError("encoding an 8-bit picture as JPEG cannot fail")
    return encoded.tobytes()
