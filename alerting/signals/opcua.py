"""The gate behind OPC UA: each block is one array of UInt16, written by one Write service call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from alerting.signals.handshake import DEFAULT_ACK_POLL_MS, DEFAULT_ACK_TIMEOUT_MS, BlockGateSignals
from shared.opcua import DEFAULT_TIMEOUT_MS, OpcUaVariables, parse_opcua_url
from shared.plc import ACK, COUNTERS, HEARTBEAT, PART, PHOTO_EYE, RESULT
from shared.redaction import redact_address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.clock import Clock
    from shared.plc import Block

NODE_NAMES: Final = {
    RESULT: "Result",
    HEARTBEAT: "Heartbeat",
    PHOTO_EYE: "PhotoEye",
    ACK: "Ack",
    PART: "Part",
    COUNTERS: "Counters",
}


class OpcUaBlocks:
    """The blocks as variables of an OPC UA server: the words of the Modbus map, an array each."""

    def __init__(self, url: str, *, timeout_ms: float = DEFAULT_TIMEOUT_MS) -> None:
        self._address = parse_opcua_url(url)
        self._variables = OpcUaVariables(self._address.endpoint, timeout_ms=timeout_ms)

    async def open(self) -> int:
        """Connect unless connected; return the number of this connection."""
        return await self._variables.open()

    async def read(self, block: Block) -> list[int]:
        """Read the block's variable."""
        return await self._variables.read(self._address.node_of(NODE_NAMES[block]))

    async def write(self, block: Block, values: Sequence[int]) -> None:
        """Write the block's variable whole."""
        await self._variables.write(self._address.node_of(NODE_NAMES[block]), values)

    async def close(self) -> None:
        """Close the session."""
        await self._variables.close()


class OpcUaGateSignals(BlockGateSignals):
    """Signals to the PLC at `url` (`opcua://HOST:PORT`); `request_timeout_ms` bounds each request."""

    def __init__(
        self,
        url: str,
        clock: Clock,
        *,
        request_timeout_ms: float = DEFAULT_TIMEOUT_MS,
        ack_timeout_ms: float = DEFAULT_ACK_TIMEOUT_MS,
        ack_poll_ms: float = DEFAULT_ACK_POLL_MS,
    ) -> None:
        blocks = OpcUaBlocks(url, timeout_ms=request_timeout_ms)
        name = redact_address(url)
        super().__init__(blocks, clock, name=name, ack_timeout_ms=ack_timeout_ms, ack_poll_ms=ack_poll_ms)
