"""What an MES reads from our OPC UA server, over a real connection."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from asyncua import Client, ua
from asyncua.ua import uaerrors

from alerting.signals.opcua_server import OpcUaLineServer
from deploy.adapters import make_store
from shared.clock import NS_PER_MS, SystemClock
from shared.domain import Decision, Outcome
from shared.settings import from_dict


class Listener:
    """An MES that subscribed to events."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[tuple[str, str, str, int]] = asyncio.Queue()

    def event_notification(self, event: object) -> None:
        """Keep what matters of an event."""
        fields = ("Line", "PartId", "Outcome", "Severity")
        self.events.put_nowait(tuple(getattr(event, name) for name in fields))


async def test_states_results_and_events_reach_an_mes() -> None:
    """A client that knows only the node ids sees the line's state, last result, counts, and one event for each part."""
    clock = SystemClock()
    store = make_store(from_dict({}))
    await store.set_state(
        "line-1",
        {
            "state": "RUNNING",
            "gate_connected": "true",
            "open_parts": "1",
            "updated_ms": str(clock.utc_ns() // NS_PER_MS + 60_000),  # a slow machine makes no line silent
        },
    )
    server = OpcUaLineServer(["line-1"], store, clock, host="127.0.0.1", port=0)
    serving = asyncio.create_task(server.run())
    await server.started.wait()
    listener = Listener()
    async with Client(server.endpoint, timeout=20) as client:
        line = client.get_node("ns=2;s=line-1")
        event_type = await client.nodes.base_event_type.get_child("2:ResultEvent")
        subscription = await client.create_subscription(50, listener)
        await subscription.subscribe_events(line, event_type)
        for number, outcome in enumerate((Outcome.PASS, Outcome.REJECT, Outcome.PASS)):
            for _ in range(2):  # as whoever took over publishes it again
                server.offer(Decision("line-1", f"p{number}", outcome, "why", 2.0, (), 1, 2, 3))
        heard = [await asyncio.wait_for(listener.events.get(), 20) for _ in range(3)]
        assert heard[1] == ("line-1", "p1", "REJECT", 400)
        assert [part for _, part, _, _ in heard] == ["p0", "p1", "p2"]
        await server.drain()
        values = {
            name: await client.get_node(f"ns=2;s=line-1.{name}").read_value()
            for name in ("State", "Step", "PartId", "Outcome", "Passed", "Rejected", "Defaulted")
        }
        assert values == {
            "State": "Operational",
            "Step": "ContinuousExecution",
            "PartId": "p2",
            "Outcome": "PASS",
            "Passed": 2,
            "Rejected": 1,
            "Defaulted": 0,
        }
        with pytest.raises(uaerrors.UaStatusCodeError):
            await client.get_node("ns=2;s=line-1.State").write_value(ua.Variant("Halted", ua.VariantType.String))
    serving.cancel()
    with suppress(asyncio.CancelledError):
        await serving
    await store.close()
