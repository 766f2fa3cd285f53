"""What every simulated PLC on the network has in common: its scan, its faults, and its answers' delay."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from alerting.plc_sim.registers import PlcRegisters
from shared.clock import NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alerting.plc_sim.simulator import GateSimulator
    from shared.clock import Clock
    from shared.plc import Acknowledge

DEFAULT_SCAN_MS: Final = 5.0


class SimulatedPlc(ABC):
    """A `simulator` behind its registers; a protocol's server fills in how they are reached.

    Each write is handled at once and whole; what the PLC says is renewed once per scan of `scan_ms`. The gate's output
    does not wait for the scan: it is set when the encoder's counter reaches the part's count, as a PLC's compare output
    does. `clock` times both (the simulator's clock unless given) and may differ from the simulator's.
    """

    def __init__(self, simulator: GateSimulator, *, scan_ms: float = DEFAULT_SCAN_MS, clock: Clock | None) -> None:
        self.simulator = simulator
        self._clock = clock or simulator.clock
        self._scan_ns = round(scan_ms * NS_PER_MS)
        self._registers = PlcRegisters(simulator)
        self._scanning: asyncio.Task[None] | None = None
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._scanned = asyncio.Event()
        self._delay_ns = 0
        self._pending: list[tuple[int, Acknowledge]] = []

    @property
    @abstractmethod
    def url(self) -> str:
        """Return the address for linewarden's settings, after `start`."""

    async def start(self) -> None:
        """Listen and start scanning; ServerError when the address cannot be had."""
        await self._listen()
        self._scanning = asyncio.create_task(self._scan_forever(), name="plc-scan")

    async def stop(self) -> None:
        """Stop listening, cut every connection, and forget writes that a freeze held back."""
        if self._scanning is None:
            return
        scanning, self._scanning = self._scanning, None
        self._thawed.set()  # the held writes wake up to find no scan, and are refused
        scanning.cancel()
        with suppress(asyncio.CancelledError):
            await scanning
        await self._unlisten()
        await asyncio.sleep(0)  # lets the transports close their sockets before a caller ends the loop

    def freeze(self) -> None:
        """Stop answering and scanning, with every connection left open: writes from now on are held back."""
        self._thawed.clear()

    def thaw(self) -> None:
        """Go on: the writes that were held back land now, late."""
        self._thawed.set()

    @abstractmethod
    def drop_connections(self) -> None:
        """Reset every open connection, as a switch that reboots does."""

    def delay_acknowledges(self, delay_ms: float) -> None:
        """Publish each acknowledge `delay_ms` after its result was seen; 0 publishes with the next scan."""
        self._delay_ns = round(delay_ms * NS_PER_MS)

    async def scanned(self) -> None:
        """Return at the end of the next scan that starts from now on."""
        for _ in range(2):  # a scan may be under way
            self._scanned.clear()
            await self._scanned.wait()

    @property
    def running(self) -> bool:
        """Return whether the PLC is switched on."""
        return self._scanning is not None

    @abstractmethod
    async def _listen(self) -> None:
        """Start the protocol's server."""

    @abstractmethod
    async def _unlisten(self) -> None:
        """Stop it and cut its connections."""

    async def _publish(self) -> None:  # noqa: B027 (a hook for protocols that are not polled)
        """Tell the outside what the registers hold now; at the end of each scan."""

    def _write(self, address: int, values: Sequence[int]) -> None:
        """Take one write whole; its acknowledge comes with a later scan."""
        before = self._registers.acknowledge
        self._registers.write(address, values)
        if self._registers.acknowledge is not before:
            self._pending.append((self._clock.monotonic_ns() + self._delay_ns, self._registers.acknowledge))

    async def _scan_forever(self) -> None:
        published = self._registers.acknowledge
        while True:
            await self._thawed.wait()
            self.simulator.tick()
            now_ns = self._clock.monotonic_ns()
            while self._pending and self._pending[0][0] <= now_ns:
                published = self._pending.pop(0)[1]
            self._registers.publish(published)
            await self._publish()
            self._scanned.set()
            await self._until_next_scan(now_ns + self._scan_ns)

    async def _until_next_scan(self, scan_at_ns: int) -> None:
        while self._thawed.is_set():
            left_ns = scan_at_ns - self._clock.monotonic_ns()
            gate_ns = self.simulator.next_event_ns()
            if gate_ns is None or gate_ns >= left_ns:
                await self._clock.sleep(left_ns / NS_PER_S)
                return
            await self._clock.sleep(gate_ns / NS_PER_S)
            self.simulator.tick()
