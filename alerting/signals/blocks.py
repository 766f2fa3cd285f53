"""The port to a PLC that holds the blocks of `shared.plc`, whatever carries them there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.plc import Block


class PlcBlocks(Protocol):
    """Reads and writes whole blocks; a block is written in one piece, and never twice for one call.

    SignalUnreachableError: nothing was written. SignalTimeoutError: it may have landed, or still will. SignalError: the
    PLC refuses.
    """

    async def open(self) -> int:
        """Connect unless connected; return the number of this connection, which changes with each new one."""
        ...

    async def read(self, block: Block) -> list[int]:
        """Return the block's registers."""
        ...

    async def write(self, block: Block, values: Sequence[int]) -> None:
        """Write the block in one piece."""
        ...

    async def close(self) -> None:
        """Let go of the connection; the next call opens another."""
        ...
