"""The PLC's own count of what it did, read over a connection of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from shared.errors import SignalError, WireError
from shared.modbus import DEFAULT_TIMEOUT_MS
from shared.plc import COUNTERS, unpack_counters
from shared.redaction import redact_address

if TYPE_CHECKING:
    from alerting.signals.blocks import PlcBlocks
    from shared.plc import PlcCounters

COUNTING: Final = frozenset({"modbus", "opcua"})
"""The schemes of gates that can be asked for their counters."""


def counts(url: str) -> bool:
    """Return whether the gate at `url` can be asked."""
    return urlsplit(url).scheme in COUNTING


async def read_counters(url: str, *, timeout_ms: float = DEFAULT_TIMEOUT_MS) -> PlcCounters:
    """Read the COUNTERS block; SignalUnreachableError, or SignalError for another PLC."""
    blocks = _blocks(url, timeout_ms)
    try:
        return unpack_counters(await blocks.read(COUNTERS))
    except WireError as error:
        raise SignalError(
            f"{redact_address(url)} holds no COUNTERS block: {error}", "Check the PLC's register map."
        ) from error
    finally:
        await blocks.close()


def _blocks(url: str, timeout_ms: float) -> PlcBlocks:
    # One library is loaded, not both: a line has one gate.
    if urlsplit(url).scheme == "opcua":
        from alerting.signals.opcua import OpcUaBlocks  # noqa: PLC0415

        return OpcUaBlocks(url, timeout_ms=max(timeout_ms, 1_000))
    from alerting.signals.modbus import ModbusBlocks  # noqa: PLC0415

    return ModbusBlocks(url, timeout_ms=timeout_ms)
