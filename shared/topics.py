"""Topic names and keys."""

from __future__ import annotations

from dataclasses import dataclass


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


def part_key(line: str, part_id: str) -> bytes:
    """Return the key of messages about a part."""
    return f"{line}/{part_id}".encode()


def camera_key(line: str, camera: str) -> bytes:
    """Return the key of messages about a camera's frames."""
    return f"{line}/{camera}".encode()
