"""The gate behind Modbus TCP: each block is one function-16 request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerting.signals.handshake import DEFAULT_ACK_POLL_MS, DEFAULT_ACK_TIMEOUT_MS, BlockGateSignals
from shared.modbus import DEFAULT_TIMEOUT_MS, ModbusRegisters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.clock import Clock
    from shared.plc import Block


class ModbusBlocks:
    """The blocks as holding registers at their addresses."""

    def __init__(self, url: str, *, timeout_ms: float = DEFAULT_TIMEOUT_MS) -> None:
        self._registers = ModbusRegisters(url, timeout_ms=timeout_ms)

    async def open(self) -> int:
        """Connect unless connected; return the number of this connection."""
        return await self._registers.open()

    async def read(self, block: Block) -> list[int]:
        """Read the block in one request."""
        return await self._registers.read(block.address, block.count)

    async def write(self, block: Block, values: Sequence[int]) -> None:
        """Write the block in one request."""
        await self._registers.write(block.address, values)

    async def close(self) -> None:
        """Close the connection."""
        await self._registers.close()


class ModbusGateSignals(BlockGateSignals):
    """Signals to the PLC at `url` (`modbus://HOST:PORT`); `request_timeout_ms` bounds connecting and each request."""

    def __init__(
        self,
        url: str,
        clock: Clock,
        *,
        request_timeout_ms: float = DEFAULT_TIMEOUT_MS,
        ack_timeout_ms: float = DEFAULT_ACK_TIMEOUT_MS,
        ack_poll_ms: float = DEFAULT_ACK_POLL_MS,
    ) -> None:
        blocks = ModbusBlocks(url, timeout_ms=request_timeout_ms)
        super().__init__(blocks, clock, name=url, ack_timeout_ms=ack_timeout_ms, ack_poll_ms=ack_poll_ms)
