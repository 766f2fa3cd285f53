"""The port of the photo-eye: each part that a camera exposes is told to the PLC, past the message bus."""

from __future__ import annotations

from typing import Protocol


class PhotoEye(Protocol):
    """Loads the PLC's shift register, so that the PLC knows every physical part even when the bus is gone."""

    async def part_passed(self, part_id: str, gate_at_ns: int) -> None:
        """Tell of a part that reaches the gate at UTC `gate_at_ns`.

        Telling the same part and time again is harmless. ConfigError: the part id does not fit the registers.
        SignalUnreachableError: nothing was written. SignalTimeoutError: unknown. SignalError: the PLC refuses.
        """
        ...

    async def close(self) -> None:
        """Let go of the connection."""
        ...
