"""Which cameras reject, and where in the picture: counts in falling order with their running share. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from alerting.trends.parts import REJECTED, Parts

_SIDE: Final = 3


class Place(StrEnum):
    """The ninth of a picture that a region lies in, by rows."""

    TOP_LEFT = "top left"
    TOP_CENTRE = "top centre"
    TOP_RIGHT = "top right"
    MIDDLE_LEFT = "middle left"
    MIDDLE = "middle"
    MIDDLE_RIGHT = "middle right"
    BOTTOM_LEFT = "bottom left"
    BOTTOM_CENTRE = "bottom centre"
    BOTTOM_RIGHT = "bottom right"
    NOWHERE = "no region"


_NINTHS: Final = tuple(Place)


@dataclass(frozen=True, slots=True)
class Bar:
    """How often something was the case, its share of all, and the share of it and all that are as often or oftener."""

    name: str
    count: int
    share: float
    running: float


def bars(names: Iterable[str]) -> list[Bar]:
    """Return the names in falling order of how often they come, those that come as often by name."""
    counts = Counter(names)
    total = sum(counts.values())
    found, running = [], 0
    for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        running += count
        found.append(Bar(name, count, count / total, running / total))
    return found


def by_camera(parts: Parts) -> list[Bar]:
    """Return how many parts each camera rejected; of several the one that the decision names."""
    worst = _worst(parts)
    return bars(parts.findings.cameras[camera] for camera in parts.findings.camera[worst].tolist())


def by_place(parts: Parts) -> list[Bar]:
    """Return where the worst regions of rejected parts lie: the camera, and a ninth of its picture."""
    found, worst = parts.findings, _worst(parts)
    rows = zip(found.camera[worst].tolist(), found.x[worst].tolist(), found.y[worst].tolist(), strict=True)
    return bars(f"{found.cameras[camera]}: {place_named(x, y)}" for camera, x, y in rows)


def place_named(x: float, y: float) -> Place:
    """Return which ninth of a picture a place is in; shares of its width and height, 0 to 1, NaN for no region."""
    if not (np.isfinite(x) and np.isfinite(y)):
        return Place.NOWHERE
    return _NINTHS[_SIDE * _third(y) + _third(x)]


def _third(share: float) -> int:
    return max(0, min(_SIDE - 1, int(share * _SIDE)))


def _worst(parts: Parts) -> NDArray[np.int64]:
    """Return a row of each rejected part of which a camera looked: of the camera that its decision names.

    Limits differ by camera, so that the highest score may be one that was good enough. Where none is named it counts.
    """
    found = parts.findings
    rejected = (parts.outcome == REJECTED)[found.part] if len(parts) else np.zeros(0, dtype=np.bool_)
    rows = np.flatnonzero(rejected & (np.isfinite(found.score) | found.named))
    # By part, and within it the named one first, then the highest score; of equal ones the first.
    order = rows[np.lexsort((rows, -found.score[rows], ~found.named[rows], found.part[rows]))]
    _, first = np.unique(found.part[order], return_index=True)
    return np.asarray(order[first], dtype=np.int64)
