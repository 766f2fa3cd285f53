"""The PLC's own count of what it did, read over Modbus TCP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.errors import SignalError, WireError
from shared.modbus import DEFAULT_TIMEOUT_MS, ModbusRegisters
from shared.plc import COUNTERS, unpack_counters

if TYPE_CHECKING:
    from shared.plc import PlcCounters


async def read_counters(url: str, *, timeout_ms: float = DEFAULT_TIMEOUT_MS) -> PlcCounters:
    """Read the COUNTERS block over a connection of its own; SignalUnreachableError, or SignalError for another PLC."""
    registers = ModbusRegisters(url, timeout_ms=timeout_ms)
    try:
        return unpack_counters(await registers.read(COUNTERS.address, COUNTERS.count))
    except WireError as error:
        raise SignalError(f"{url} holds no COUNTERS block: {error}", "Check the PLC's register map.") from error
    finally:
        await registers.close()
