"""The simulated PLC behind OPC UA: the blocks as variables, served by asyncua."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from asyncua import Server, ua
from asyncua.common.callback import CallbackType, ServerItemCallback
from asyncua.ua import uaerrors

from alerting.plc_sim.plc import DEFAULT_SCAN_MS, SimulatedPlc
from alerting.signals.opcua import NODE_NAMES
from shared.errors import ServerError
from shared.opcua import quiet_asyncua
from shared.plc import ACK, BLOCKS, COUNTERS, PART

if TYPE_CHECKING:
    from alerting.plc_sim.simulator import GateSimulator
    from shared.clock import Clock
    from shared.plc import Block

NAMESPACE: Final = "urn:linewarden:simulated-plc"
_OWN: Final = (ACK, PART, COUNTERS)


class OpcUaPlcServer(SimulatedPlc):
    """Serves a `simulator` on OPC UA, nodes `ns=2;s=Gate.Result` and so on; port 0 takes a free one.

    A write that comes while the PLC is frozen is taken in and lands with the thaw, also when its client has gone.
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
        super().__init__(simulator, scan_ms=scan_ms, clock=clock)
        self._host = host
        self._port = port
        self._server: Server | None = None
        self._held: list[tuple[Block, list[int]]] = []
        quiet_asyncua()

    @property
    def url(self) -> str:
        """Return the address for clients, after `start`."""
        return f"opcua://{self._host}:{self._port}"

    def thaw(self) -> None:
        """Go on: the writes that were held back land now, late."""
        super().thaw()
        held, self._held = self._held, []
        for block, values in held:
            self._write(block.address, values)

    def drop_connections(self) -> None:
        """Reset every open connection, as a switch that reboots does."""
        if self._server is not None and self._server.bserver is not None:
            for connection in list(self._server.bserver.clients):
                if connection.transport is not None:
                    connection.transport.abort()

    async def _listen(self) -> None:
        server = Server()
        await server.init()
        server.set_endpoint(f"opc.tcp://{self._host}:{self._port}")
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        server.set_server_name("linewarden simulated PLC")
        server.socket_address = (self._host, self._port)
        index = await server.register_namespace(NAMESPACE)
        gate = await server.nodes.objects.add_object(ua.NodeId.from_string(f"ns={index};s=Gate"), "Gate")
        for block in BLOCKS:
            zeros = 0 if block.count == 1 else [0] * block.count
            name = NODE_NAMES[block]
            node_id = ua.NodeId.from_string(f"ns={index};s=Gate.{name}")
            node = await gate.add_variable(node_id, name, zeros, ua.VariantType.UInt16)
            server.set_attribute_value_callback(node_id, partial(self._read_block, block))
            if block not in _OWN:
                await node.set_writable()
            server.set_attribute_value_setter(node_id, partial(self._written, block))
        server.subscribe_server_callback(CallbackType.PreRead, self._hold)
        server.subscribe_server_callback(CallbackType.PostWrite, self._hold)
        try:
            await server.start()
        except OSError as error:
            raise ServerError(
                f"the simulated PLC cannot listen on {self._host}:{self._port}: {error.strerror}", "Choose a free port."
            ) from None
        if server.bserver is None:
            raise ServerError("asyncua did not open a listener", "Install the asyncua that requirements.lock names.")
        self._port = server.bserver.port
        self._server = server

    async def _unlisten(self) -> None:
        self._held.clear()
        if self._server is not None:
            self.drop_connections()
            await asyncio.sleep(0)
            server, self._server = self._server, None
            await server.stop()

    async def _hold(self, event: ServerItemCallback, _service: object) -> None:
        if not event.is_external:
            return
        await self._thawed.wait()
        if not self.running:
            raise uaerrors.BadServerHalted

    def _read_block(self, block: Block, _node: ua.NodeId, _attribute: ua.AttributeIds) -> ua.DataValue:
        values = block.of(self._registers.values)
        return ua.DataValue(ua.Variant(values[0] if block.count == 1 else values, ua.VariantType.UInt16))

    def _written(self, block: Block, _node: object, _attribute: ua.AttributeIds, value: ua.DataValue) -> None:
        held = value.Value.Value if value.Value is not None else None
        values = [one for one in (held if isinstance(held, list) else [held]) if isinstance(one, int)]
        if len(values) != block.count:
            raise uaerrors.BadTypeMismatch
        if self._thawed.is_set():
            self._write(block.address, values)
        else:
            self._held.append((block, values))
