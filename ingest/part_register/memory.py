"""A register in this process, for tests and simulations."""

from __future__ import annotations

from shared.errors import SignalUnreachableError


class MemoryPartRegister:
    """Says `value`; None: it cannot be reached."""

    def __init__(self, value: int | None) -> None:
        self.value = value
        self.closed = False

    async def read(self) -> int:
        """Return the value."""
        if self.value is None:
            raise SignalUnreachableError("the PLC is away")
        return self.value

    async def close(self) -> None:
        """Remember it."""
        self.closed = True
