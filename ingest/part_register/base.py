"""The port of the register that says which part is exposed, or where the conveyor is."""

from __future__ import annotations

from typing import Protocol


class PartRegister(Protocol):
    """Read at each exposure."""

    async def read(self) -> int | None:
        """Return what it says now, or None where there is no register; `SignalError` when it cannot be read."""
        ...

    async def close(self) -> None:
        """Let go of the connection."""
        ...


class AbsentPartRegister:
    """A line without such a register."""

    async def read(self) -> None:
        """Say nothing."""

    async def close(self) -> None:
        """Nothing to let go of."""
