"""Frames that were answered and whose part is not decided yet. Pure: bounded by bytes and time, which is passed in."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

    from detector.model.base import GradedModel, Inspection
    from shared.domain import Verdict
    from shared.wire import FrameMessage

Part: TypeAlias = tuple[str, str]
"""A line and a part of it."""


OWN_BYTES: Final = 2048
"""What a frame takes beside its pixels, so that a flood of frames without any is bounded, too."""


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """A frame, what was said of it, and until when (monotonic) its part's decision is waited for.

    `found` is None where no model looked, and `payload` may be empty where it never came.
    """

    message: FrameMessage
    payload: memoryview | bytes
    verdict: Verdict
    model: GradedModel
    found: Inspection | None
    overlay: bytes
    until_ns: int

    @property
    def part(self) -> Part:
        """Return line and part."""
        return self.verdict.capture.id.line, self.verdict.capture.part_id

    @property
    def camera(self) -> str:
        """Return the camera."""
        return self.verdict.capture.id.camera

    @property
    def size_bytes(self) -> int:
        """Return about what it holds in memory."""
        mapped = 0 if self.found is None else self.found.anomaly_map.values.nbytes
        return OWN_BYTES + len(self.payload) + len(self.overlay) + mapped


class Shelf:
    """Holds frames by part. What is too much, or waited for too long, is given up, the oldest first."""

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._parts: OrderedDict[Part, dict[str, Held]] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._parts)

    @property
    def held_bytes(self) -> int:
        """Return about what all of them hold."""
        return self._bytes

    def put(self, held: Held) -> int:
        """Hold a frame in the place of an earlier one of its part and camera; return how many parts it pushed out."""
        if held.size_bytes > self._max_bytes:
            return 1
        of_part = self._parts.setdefault(held.part, {})
        known = of_part.pop(held.camera, None)
        self._bytes += held.size_bytes - (0 if known is None else known.size_bytes)
        of_part[held.camera] = held
        pushed = 0
        while self._bytes > self._max_bytes:
            oldest = next(part for part in self._parts if part != held.part or len(self._parts) == 1)
            self.take(oldest)
            pushed += 1
        return pushed

    def waiting(self, most: int) -> dict[str, list[str]]:
        """Return parts by line, at most so many, those that nobody asked about for the longest time first."""
        asked = list(self._parts)[:most]
        lines: dict[str, list[str]] = {}
        for part in asked:
            self._parts.move_to_end(part)
            lines.setdefault(part[0], []).append(part[1])
        return lines

    def take(self, part: Part) -> list[Held]:
        """Return a part's frames and hold them no longer."""
        taken = list(self._parts.pop(part, {}).values())
        self._bytes -= sum(held.size_bytes for held in taken)
        return taken

    def give_up(self, now_ns: int) -> int:
        """Let go of parts whose time is over; return how many."""
        over = [part for part, of_part in self._parts.items() if _is_over(of_part.values(), now_ns)]
        for part in over:
            self.take(part)
        return len(over)


def _is_over(frames: Iterable[Held], now_ns: int) -> bool:
    return all(held.until_ns <= now_ns for held in frames)
