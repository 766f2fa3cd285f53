"""Several cameras joined to one part by time: exposures that lie together show the same part. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from ingest.identity.base import Identity, Odd
from ingest.sources.base import Shot

_OPEN: Final = 256


@dataclass(slots=True)
class _Group:
    """The exposures of one part: when the first was, and whose they are."""

    number: int
    at_ns: int
    cameras: set[str] = field(default_factory=set)


class Join:
    """The parts of one line, each seen once by each camera within `window_ns` of the first exposure."""

    def __init__(self, window_ns: int) -> None:
        self._window_ns = window_ns
        self._groups: deque[_Group] = deque(maxlen=_OPEN)
        self._last = 0

    def number(self, camera: str, at_ns: int) -> int:
        """Return the number of the part that `camera` saw at `at_ns`, reckoned back to the line's first camera.

        Of several parts that it could be, it is the nearest that the camera has not seen yet; else it is a new one.
        """
        near = [
            group
            for group in self._groups
            if abs(at_ns - group.at_ns) <= self._window_ns and camera not in group.cameras
        ]
        if near:
            group = min(near, key=lambda one: (abs(at_ns - one.at_ns), one.number))
        else:
            self._last += 1
            group = _Group(self._last, at_ns)
            self._groups.append(group)
        group.cameras.add(camera)
        return group.number


class ByWindow:
    """One camera's view of the line's `Join`; it sees a part `offset_ns` after the line's first camera.

    Two exposures within twice the window could each be of either part: neither is identified by its time.
    """

    def __init__(self, join: Join, camera: str, *, offset_ns: int, window_ns: int) -> None:
        self._join = join
        self._camera = camera
        self._offset_ns = offset_ns
        self._apart_ns = 2 * window_ns
        self._last_ns: int | None = None

    def restarted(self) -> None:
        """Go on: time does."""

    def number(self, shot: Shot, reading: int | None) -> Identity | Odd:  # noqa: ARG002 - the port's signature
        """Return the number of the part that was exposed at that time; UNIDENTIFIED where parts come too close."""
        last_ns, self._last_ns = self._last_ns, shot.captured_at_ns
        if last_ns is not None and abs(shot.captured_at_ns - last_ns) < self._apart_ns:
            return Odd.UNIDENTIFIED
        return Identity(self._join.number(self._camera, shot.captured_at_ns - self._offset_ns))
