"""Lines' states and results for MES and SCADA: an OPC UA server of our own, with the state names of OPC 40100-1."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from asyncua import Server, ua

from alerting.signals.vision_state import line_state
from shared.clock import NS_PER_MS, NS_PER_S
from shared.domain import Outcome
from shared.errors import ServerError, StoreError
from shared.log import get_logger
from shared.opcua import quiet_asyncua

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncua.common.node import Node
    from asyncua.server.event_generator import EventGenerator

    from shared.clock import Clock
    from shared.domain import Decision
    from shared.store.base import Store

NAMESPACE: Final = "urn:linewarden:lines"
_QUEUE: Final = 1_000
_REMEMBERED: Final = 10_000
_STATE_S: Final = 1.0
_STATES: Final = ("State", "Step", "Why")
_RESULTS: Final = ("PartId", "Outcome", "Reason")
_COUNTS: Final = ("Passed", "Rejected", "Defaulted")
_COUNTED: Final = {Outcome.PASS: "Passed", Outcome.REJECT: "Rejected", Outcome.DEFAULT_REJECT: "Defaulted"}
_SEVERITY: Final = {Outcome.PASS: 100, Outcome.REJECT: 400, Outcome.DEFAULT_REJECT: 600}


class OpcUaLineServer:
    """Serves each line as `ns=2;s=LINE` with its state, its last result, counts since the start, and result events.

    It is for reading alone: nothing can be written, and no gate waits for it. Beyond a thousand waiting decisions new
    ones are dropped, and counted in `dropped`. A decision that comes again, as after a crash, is told once.
    """

    def __init__(self, lines: Sequence[str], store: Store, clock: Clock, *, host: str, port: int) -> None:
        self._lines = tuple(lines)
        self._store = store
        self._clock = clock
        self._host = host
        self._port = port
        self._waiting: asyncio.Queue[Decision] = asyncio.Queue(_QUEUE)
        self._nodes: dict[str, Node] = {}
        self._events: dict[str, EventGenerator] = {}
        self._counts: dict[tuple[str, str], int] = {}
        self._told: dict[str, OrderedDict[tuple[str, int], None]] = {line: OrderedDict() for line in lines}
        self._decided_ms: dict[str, int] = {}
        self._log = get_logger("opcua")
        self.started = asyncio.Event()
        self.dropped = 0
        quiet_asyncua()

    @property
    def endpoint(self) -> str:
        """Return the address for clients, once `started`."""
        return f"opc.tcp://{self._host}:{self._port}"

    def offer(self, decision: Decision) -> None:
        """Queue a decision, or drop it when the queue is full."""
        try:
            self._waiting.put_nowait(decision)
        except asyncio.QueueFull:
            self.dropped += 1

    async def run(self) -> None:
        """Serve until cancelled; ServerError when the address cannot be had."""
        server = await self._start()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._tell_states())
                while True:
                    decision = await self._waiting.get()
                    try:
                        if decision.line in self._events and self._is_new(decision):
                            await self._tell(decision)
                    finally:
                        self._waiting.task_done()
        finally:
            await server.stop()

    async def drain(self) -> None:
        """Return once all decisions offered are told."""
        await self._waiting.join()

    async def _start(self) -> Server:
        server = Server()
        await server.init()
        server.set_endpoint(self.endpoint)
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        server.set_server_name("linewarden")
        server.socket_address = (self._host, self._port)
        index = await server.register_namespace(NAMESPACE)
        fields = [
            *((name, ua.VariantType.String) for name in ("Line", *_RESULTS)),
            *((name, ua.VariantType.DateTime) for name in ("CapturedAt", "DecidedAt")),
        ]
        event = await server.create_custom_event_type(index, "ResultEvent", properties=fields)
        for line in self._lines:
            node = await server.nodes.objects.add_object(ua.NodeId.from_string(f"ns={index};s={line}"), line)
            for name in (*_STATES, *_RESULTS):
                await self._add(node, index, line, name, ua.Variant("", ua.VariantType.String))
            for name in _COUNTS:
                await self._add(node, index, line, name, ua.Variant(0, ua.VariantType.UInt32))
            self._events[line] = await server.get_event_generator(event, node.nodeid)
        try:
            await server.start()
        except OSError as error:
            raise ServerError(
                f"the OPC UA server cannot listen on {self._host}:{self._port}: {error.strerror}",
                "Choose another alerting.opcua_server.port.",
            ) from None
        if server.bserver is not None:
            self._port = server.bserver.port
        self.started.set()
        return server

    async def _add(self, parent: Node, index: int, line: str, name: str, value: ua.Variant) -> None:
        node_id = ua.NodeId.from_string(f"ns={index};s={line}.{name}")
        self._nodes[f"{line}.{name}"] = await parent.add_variable(node_id, name, value)

    def _is_new(self, decision: Decision) -> bool:
        told, part = self._told[decision.line], (decision.part_id, decision.captured_at_ns)
        if part in told:
            return False
        told[part] = None
        if len(told) > _REMEMBERED:
            told.popitem(last=False)
        return True

    async def _tell(self, decision: Decision) -> None:
        line, counted = decision.line, _COUNTED[decision.outcome]
        self._decided_ms[line] = self._clock.utc_ns() // NS_PER_MS
        count = self._counts[line, counted] = (self._counts.get((line, counted), 0) + 1) & 0xFFFF_FFFF
        await self._nodes[f"{line}.{counted}"].write_value(ua.Variant(count, ua.VariantType.UInt32))
        result = {"PartId": decision.part_id, "Outcome": decision.outcome.value, "Reason": decision.reason}
        events = self._events[line]
        for name, value in result.items():
            await self._nodes[f"{line}.{name}"].write_value(value)
            setattr(events.event, name, value)
        events.event.Line = line
        events.event.CapturedAt = _utc(decision.captured_at_ns)
        events.event.DecidedAt = _utc(decision.decided_at_ns)
        events.event.Severity = _SEVERITY[decision.outcome]
        await events.trigger(message=f"{decision.part_id}: {decision.outcome.value}")

    async def _tell_states(self) -> None:
        while True:
            for line in self._lines:
                try:
                    fields = await self._store.state(line)
                except StoreError as error:
                    self._log.warning("store.away", error=str(error))
                    continue
                now_ms = self._clock.utc_ns() // NS_PER_MS
                found = line_state(fields, now_ms=now_ms, decided_ms=self._decided_ms.get(line))
                for name, value in zip(_STATES, (found.state, found.step or "", found.why), strict=True):
                    await self._nodes[f"{line}.{name}"].write_value(str(value))
            await self._clock.sleep(_STATE_S)


def _utc(at_ns: int) -> datetime:
    return datetime.fromtimestamp(at_ns / NS_PER_S, tz=UTC)
