"""The parts of a line that its cameras saw lately: who saw which, and who cannot. Pure."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

_REMEMBERED: Final = 1_000


@dataclass(slots=True, eq=False)
class SeenPart:
    """A part and the cameras that exposed it; the first of them fixed its times."""

    part_id: str
    passed_at_ns: int
    decide_by_ns: int
    label: str | None
    place_counts: int | None = None
    cameras: set[str] = field(default_factory=set)


class LineParts:
    """What a line's cameras tell each other."""

    def __init__(self) -> None:
        self._parts: OrderedDict[str, SeenPart] = OrderedDict()
        self._offline: set[str] = set()

    def exposed(
        self,
        part_id: str,
        camera: str | None,
        *,
        passed_at_ns: int,
        decide_by_ns: int,
        label: str | None,
        place_counts: int | None = None,
    ) -> tuple[SeenPart, bool]:
        """Note an exposure, or with no `camera` a part known without one; return the part, and whether it is new."""
        part = self._parts.get(part_id)
        new = part is None
        if part is None:
            part = self._parts[part_id] = SeenPart(part_id, passed_at_ns, decide_by_ns, label, place_counts)
            if len(self._parts) > _REMEMBERED:
                self._parts.popitem(last=False)
        part.label = part.label or label
        if camera is not None:
            part.cameras.add(camera)
        return part, new

    def blind(self, part: SeenPart) -> set[str]:
        """Return the cameras that are offline and did not see the part."""
        return self._offline - part.cameras

    def lost(self, camera: str, now_ns: int) -> list[SeenPart]:
        """Note that a camera is offline; return the parts, still to be decided, that it will not have seen.

        Of one that was offline already there is nothing to be said again.
        """
        if camera in self._offline:
            return []
        self._offline.add(camera)
        return [part for part in self._parts.values() if part.decide_by_ns > now_ns and camera not in part.cameras]

    def back(self, camera: str) -> None:
        """Note that a camera is online again."""
        self._offline.discard(camera)
