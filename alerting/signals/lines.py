"""The port to digital outputs: a few lines with names, each on or off."""

from __future__ import annotations

from typing import Protocol


class DigitalLines(Protocol):
    """Outputs of one chip. SignalUnreachableError: the chip is gone, or somebody else has the line."""

    def set(self, name: str, *, on: bool) -> None:
        """Set an output; returns at once."""
        ...

    def close(self) -> None:
        """Put every output to rest and let go of them."""
        ...
