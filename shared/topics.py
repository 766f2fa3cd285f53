"""Topic names, keys and the explicit partition plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from shared.errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Topics:
    """The five topics and the consumer groups under one prefix."""

    prefix: str

    @property
    def captures(self) -> str:
        """Announcements of parts."""
        return f"{self.prefix}.captures"

    @property
    def frames(self) -> str:
        """Encoded pixels."""
        return f"{self.prefix}.frames"

    @property
    def verdicts(self) -> str:
        """What the detectors say."""
        return f"{self.prefix}.verdicts"

    @property
    def decisions(self) -> str:
        """The durable audit record."""
        return f"{self.prefix}.decisions"

    @property
    def dead_letters(self) -> str:
        """What could not be handled."""
        return f"{self.prefix}.dead-letters"

    def group(self, role: str) -> str:
        """Return the consumer group of a role: two installations on one broker never share one."""
        return f"{self.prefix}.{role}"


@dataclass(frozen=True, slots=True)
class PartitionPlan:
    """Which partition serves which line and camera: by their place in the settings, never by a hash.

    Appending a line or a camera moves no other; `cameras` holds (line, camera) pairs.
    """

    lines: tuple[str, ...]
    cameras: tuple[tuple[str, str], ...]

    def of_line(self, line: str) -> int:
        """Return the partition of `line` on captures, verdicts and decisions."""
        return _place(self.lines, line, f"line {line!r}")

    def of_camera(self, line: str, camera: str) -> int:
        """Return the partition of the camera on frames."""
        return _place(self.cameras, (line, camera), f"camera {camera!r} of line {line!r}")

    def partitions(self, topics: Topics) -> dict[str, int]:
        """Return how many partitions each topic needs."""
        by_line = max(1, len(self.lines))
        return {
            topics.captures: by_line,
            topics.frames: max(1, len(self.cameras)),
            topics.verdicts: by_line,
            topics.decisions: by_line,
            topics.dead_letters: 1,
        }


def part_key(line: str, part_id: str) -> bytes:
    """Return the key of messages about a part."""
    return f"{line}/{part_id}".encode()


def camera_key(line: str, camera: str) -> bytes:
    """Return the key of messages about a camera's frames."""
    return f"{line}/{camera}".encode()


def _place(known: tuple[T, ...], wanted: T, name: str) -> int:
    try:
        return known.index(wanted)
    except ValueError:
        raise ConfigError(f"{name} is not in the partition plan", "Add it to the settings of every role.") from None
