"""The photo-eye's path over Modbus TCP: one PHOTO-EYE block for each part."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from shared.clock import NS_PER_MS
from shared.modbus import DEFAULT_TIMEOUT_MS, ModbusRegisters
from shared.plc import PHOTO_EYE, U32_MAX, Eye, check_part_id, pack_eye

if TYPE_CHECKING:
    from collections.abc import Sequence


class ModbusPhotoEye:
    """Writes each part to the PLC at `url`; connects when needed, never writes twice on its own.

    `timeout_ms` bounds connecting and each request.
    """

    def __init__(self, url: str, *, timeout_ms: float = DEFAULT_TIMEOUT_MS) -> None:
        self._registers = ModbusRegisters(url, timeout_ms=timeout_ms)
        self._telling = asyncio.Lock()
        # Connection, eye count and toggle of the last confirmed write.
        self._told: tuple[int, int, int] | None = None

    async def part_passed(self, part_id: str, gate_at_ns: int) -> None:
        """Write the PHOTO-EYE block once; after a reconnect it goes on from what the PLC holds."""
        check_part_id(part_id)
        async with self._telling:
            connection = await self._registers.open()
            if self._told is None or self._told[0] != connection:
                count, toggle = _count_and_toggle(await self._registers.read(PHOTO_EYE.address, PHOTO_EYE.count))
            else:
                _, count, toggle = self._told
            self._told = None
            count, toggle = (count + 1) & U32_MAX, 1 - (toggle & 1)
            eye = Eye(count, part_id, gate_at_ns // NS_PER_MS)
            await self._registers.write(PHOTO_EYE.address, pack_eye(eye, toggle))
            self._told = (connection, count, toggle)

    async def close(self) -> None:
        """Close the connection."""
        await self._registers.close()


def _count_and_toggle(registers: Sequence[int]) -> tuple[int, int]:
    """Read only these two: a PLC that just started holds a block of zeros without a valid checksum."""
    return (registers[0] << 16) | registers[1], registers[-1]
