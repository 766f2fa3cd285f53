"""The handshake over blocks: writes RESULT and HEARTBEAT, reads ACK. The same over every carrier of blocks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from shared.clock import NS_PER_MS
from shared.errors import SignalError, SignalTimeoutError, WireError
from shared.plc import ACK, HEARTBEAT, RESULT, U16_MAX, Result, pack_result, unpack_acknowledge

if TYPE_CHECKING:
    from alerting.signals.blocks import PlcBlocks
    from shared.clock import Clock
    from shared.domain import Signal
    from shared.plc import Accepted, Acknowledge, Delivery

DEFAULT_ACK_TIMEOUT_MS: Final = 100.0
DEFAULT_ACK_POLL_MS: Final = 1.0


class BlockGateSignals:
    """Signals to the PLC behind `blocks`, which `name` calls by its address.

    `ack_timeout_ms` bounds the wait for the PLC's program to look at a written result, which is polled every
    `ack_poll_ms`. One signal is under way at a time, because the PLC acknowledges only the last; heartbeats pass
    between its requests.
    """

    def __init__(
        self,
        blocks: PlcBlocks,
        clock: Clock,
        *,
        name: str,
        ack_timeout_ms: float = DEFAULT_ACK_TIMEOUT_MS,
        ack_poll_ms: float = DEFAULT_ACK_POLL_MS,
    ) -> None:
        self._blocks = blocks
        self._name = name
        self._clock = clock
        self._ack_timeout_ms = ack_timeout_ms
        self._ack_poll_s = ack_poll_ms / 1000
        self._sending = asyncio.Lock()
        self._beating = asyncio.Lock()
        # What the PLC was last known to hold, and on which connection that was learned.
        self._toggle: tuple[int, int] | None = None
        self._beat: tuple[int, int] | None = None

    async def open(self) -> Accepted:
        """Connect unless connected, and return the PLC's last accepted result."""
        async with self._sending:
            connection = await self._blocks.open()
            seen = await self._acknowledge()
            self._toggle = (connection, seen.toggle)
            return seen.accepted

    async def send(self, signal: Signal) -> Delivery:
        """Write the RESULT block once, then wait until the ACK block echoes its sequence and toggle."""
        result = Result.of(signal)
        async with self._sending:
            connection = await self._blocks.open()
            toggle = 1 - await self._last_toggle(connection)
            self._toggle = None  # unknown from here on, unless the PLC echoes it
            await self._blocks.write(RESULT, pack_result(result, toggle))
            delivery = await self._acknowledged(result.sequence, toggle)
            self._toggle = (connection, toggle)
            return delivery

    async def last_accepted(self) -> Accepted:
        """Return the PLC's last accepted result."""
        return (await self._acknowledge()).accepted

    async def beat(self) -> None:
        """Write the next heartbeat count; after a reconnect it goes on from the count that the PLC holds."""
        async with self._beating:
            connection = await self._blocks.open()
            if self._beat is None or self._beat[0] != connection:
                held = (await self._blocks.read(HEARTBEAT))[0]
            else:
                held = self._beat[1]
            self._beat = None
            counter = (held + 1) & U16_MAX
            await self._blocks.write(HEARTBEAT, [counter])
            self._beat = (connection, counter)

    async def close(self) -> None:
        """Close the connection."""
        await self._blocks.close()

    async def _last_toggle(self, connection: int) -> int:
        if self._toggle is not None and self._toggle[0] == connection:
            return self._toggle[1]
        return (await self._acknowledge()).toggle

    async def _acknowledged(self, sequence: int, toggle: int) -> Delivery:
        give_up_ns = self._clock.monotonic_ns() + round(self._ack_timeout_ms * NS_PER_MS)
        while True:
            try:
                seen = await self._acknowledge()
            except SignalError as error:
                raise self._unconfirmed(sequence, error.problem) from error
            if seen.status is not None and (seen.sequence, seen.toggle) == (sequence, toggle):
                return seen.status
            if self._clock.monotonic_ns() >= give_up_ns:
                raise self._unconfirmed(sequence, f"no acknowledge within {self._ack_timeout_ms:g} ms")
            await self._clock.sleep(self._ack_poll_s)

    async def _acknowledge(self) -> Acknowledge:
        registers = await self._blocks.read(ACK)
        try:
            return unpack_acknowledge(registers)
        except WireError as error:
            raise SignalError(f"{self._name} holds no ACK block: {error}", "Check the PLC's register map.") from error

    def _unconfirmed(self, sequence: int, why: str) -> SignalTimeoutError:
        return SignalTimeoutError(
            f"{self._name} did not acknowledge result {sequence}: {why}", "Ask the PLC what it accepted last."
        )
