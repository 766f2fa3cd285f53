"""The simulated PLC on the network: a real Modbus TCP server in front of the pure simulator."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from alerting.plc_sim.registers import SIZE, PlcRegisters
from shared.clock import NS_PER_MS
from shared.errors import ServerError
from shared.modbus import quiet_pymodbus
from shared.plc import ACK

if TYPE_CHECKING:
    from alerting.plc_sim.simulator import GateSimulator
    from shared.clock import Clock
    from shared.plc import Acknowledge

DEFAULT_SCAN_MS: Final = 5.0


class PlcServer:
    """Serves a `simulator` on Modbus TCP; port 0 takes a free one.

    Each write is handled at once and whole; the ACK and COUNTERS blocks are renewed once per scan of `scan_ms`, as a
    PLC does. `clock` times the scans (the simulator's clock unless given) and may differ from the simulator's.
    """

    def __init__(
        self,
        simulator: GateSimulator,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        scan_ms: float = DEFAULT_SCAN_MS,
        clock: Clock | None = None,
    ) -> None:
        self._simulator = simulator
        self._clock = clock or simulator.clock
        self._scan_s = scan_ms / 1000
        self._host = host
        self._port = port
        self._registers = PlcRegisters(simulator)
        self._server: ModbusTcpServer | None = None
        self._scanning: asyncio.Task[None] | None = None
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._scanned = asyncio.Event()
        self._delay_ns = 0
        self._pending: list[tuple[int, Acknowledge]] = []
        quiet_pymodbus()

    @property
    def url(self) -> str:
        """Return the address for clients, after `start`."""
        return f"modbus://{self._host}:{self._port}"

    async def start(self) -> None:
        """Listen and start scanning; ServerError when the address is taken."""
        server = ModbusTcpServer(self._device(), address=(self._host, self._port))
        if not await server.listen():
            raise ServerError(f"the simulated PLC cannot listen on {self._host}:{self._port}", "Choose a free port.")
        listener = server.transport
        if not isinstance(listener, asyncio.Server):
            raise ServerError(
                "pymodbus did not open a TCP listener", "Install the pymodbus that requirements.lock names."
            )
        self._port = listener.sockets[0].getsockname()[1]
        self._server = server
        self._scanning = asyncio.create_task(self._scan_forever(), name="plc-scan")

    async def stop(self) -> None:
        """Stop listening, cut every connection, and forget writes that a freeze held back."""
        if self._server is None or self._scanning is None:
            return
        server, self._server = self._server, None
        self._thawed.set()  # the held writes wake up to find no server, and are refused
        self._scanning.cancel()
        with suppress(asyncio.CancelledError):
            await self._scanning
        self.drop_connections(server)
        server.close()
        await asyncio.sleep(0)  # lets the transports close their sockets before a caller ends the loop

    def freeze(self) -> None:
        """Stop answering and scanning, with every connection left open: writes from now on are held back."""
        self._thawed.clear()

    def thaw(self) -> None:
        """Go on: the writes that were held back land now, late."""
        self._thawed.set()

    def drop_connections(self, server: ModbusTcpServer | None = None) -> None:
        """Reset every open connection, as a switch that reboots does."""
        server = server or self._server
        for connection in list(server.active_connections.values()) if server is not None else ():
            if isinstance(connection.transport, asyncio.Transport):
                connection.transport.abort()

    def delay_acknowledges(self, delay_ms: float) -> None:
        """Publish each acknowledge `delay_ms` after its result was seen; 0 publishes with the next scan."""
        self._delay_ns = round(delay_ms * NS_PER_MS)

    async def scanned(self) -> None:
        """Return at the end of the next scan that starts from now on."""
        for _ in range(2):  # a scan may be under way
            self._scanned.clear()
            await self._scanned.wait()

    async def _scan_forever(self) -> None:
        published = self._registers.acknowledge
        while True:
            await self._thawed.wait()
            self._simulator.tick()
            now_ns = self._clock.monotonic_ns()
            while self._pending and self._pending[0][0] <= now_ns:
                published = self._pending.pop(0)[1]
            self._registers.publish(published)
            self._scanned.set()
            await self._clock.sleep(self._scan_s)

    async def _on_access(
        self,
        _function_code: int,
        _start_address: int,
        address: int,
        _count: int,
        live: list[int],
        written: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """Serve one request on pymodbus's `live` registers; no await after the thaw, so each is handled in one go."""
        await self._thawed.wait()
        if self._server is None:
            return ExcCodes.DEVICE_FAILURE
        if written is not None:
            before = self._registers.acknowledge
            self._registers.write(address, [int(value) for value in written])
            if self._registers.acknowledge is not before:
                self._pending.append((self._clock.monotonic_ns() + self._delay_ns, self._registers.acknowledge))
        live[:SIZE] = self._registers.values
        return None

    def _device(self) -> SimDevice:
        own = SimData(ACK.address, count=SIZE - ACK.address, datatype=DataType.REGISTERS, readonly=True)
        shared = SimData(0, count=ACK.address, datatype=DataType.REGISTERS)
        return SimDevice(0, [shared, own], action=self._on_access)
