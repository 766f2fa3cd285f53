"""The simulated PLC on the network: a real Modbus TCP server in front of the pure simulator."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from alerting.plc_sim.plc import DEFAULT_SCAN_MS, SimulatedPlc
from alerting.plc_sim.registers import SIZE
from shared.errors import ServerError
from shared.modbus import quiet_pymodbus
from shared.plc import ACK

if TYPE_CHECKING:
    from alerting.plc_sim.simulator import GateSimulator
    from shared.clock import Clock

__all__ = ["DEFAULT_SCAN_MS", "PlcServer"]


class PlcServer(SimulatedPlc):
    """Serves a `simulator` on Modbus TCP; port 0 takes a free one. See `SimulatedPlc` for the rest."""

    def __init__(
        self,
        simulator: GateSimulator,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        scan_ms: float = DEFAULT_SCAN_MS,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(simulator, scan_ms=scan_ms, clock=clock)
        self._host = host
        self._port = port
        self._server: ModbusTcpServer | None = None
        quiet_pymodbus()

    @property
    def url(self) -> str:
        """Return the address for clients, after `start`."""
        return f"modbus://{self._host}:{self._port}"

    def drop_connections(self) -> None:
        """Reset every open connection, as a switch that reboots does."""
        for connection in list(self._server.active_connections.values()) if self._server is not None else ():
            if isinstance(connection.transport, asyncio.Transport):
                connection.transport.abort()

    async def _listen(self) -> None:
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

    async def _unlisten(self) -> None:
        if self._server is not None:
            self.drop_connections()
            self._server.close()
            self._server = None

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
        if not self.running:
            return ExcCodes.DEVICE_FAILURE
        if written is not None:
            self._write(address, [int(value) for value in written])
        live[:SIZE] = self._registers.values
        return None

    def _device(self) -> SimDevice:
        own = SimData(ACK.address, count=SIZE - ACK.address, datatype=DataType.REGISTERS, readonly=True)
        shared = SimData(0, count=ACK.address, datatype=DataType.REGISTERS)
        return SimDevice(0, [shared, own], action=self._on_access)
