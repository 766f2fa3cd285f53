"""A part's number, or the encoder's count, in holding registers over Modbus TCP."""

from __future__ import annotations

import asyncio
from typing import Final

from shared.modbus import ModbusRegisters

_TIMEOUT_MS: Final = 50.0
"""A number read later than that may be the next part's."""


class ModbusPartRegister:
    """Reads `words` registers from `address` on, the high word first; cameras of a line take turns."""

    def __init__(self, url: str, *, address: int, words: int, timeout_ms: float = _TIMEOUT_MS) -> None:
        self._registers = ModbusRegisters(url, timeout_ms=timeout_ms)
        self._address = address
        self._words = words
        self._turn = asyncio.Lock()

    async def read(self) -> int:
        """Return the number; connects when needed."""
        async with self._turn:
            await self._registers.open()
            number = 0
            for word in await self._registers.read(self._address, self._words):
                number = number << 16 | word
            return number

    async def close(self) -> None:
        """Close the connection."""
        await self._registers.close()
