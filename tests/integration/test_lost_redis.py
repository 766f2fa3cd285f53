"""A line at 20 parts/s on a real Redis, in real time: it is emptied, full or killed, or the gate's process freezes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis.asyncio

from alerting.plc_sim.gate_log import GateAction
from alerting.plc_sim.simulator import GateSimulator
from alerting.service import AlertingService
from alerting.signals.memory import MemoryGateSignals
from deploy.servers.redis import RedisServer
from shared.bus.memory import MemoryBus, MemoryBusLimits
from shared.clock import NS_PER_MS, SystemClock
from shared.domain import Decision, GateMode, Outcome
from shared.store.redis import RedisStore
from shared.store.settings import StoreSettings
from shared.wire import VerdictMessage, decode, encode, kind_of
from tests.crashing import Process
from tests.lines import GATE_DELAY_MS, LINE, announcement, eventually, inspected, line_settings, read_all, topics_for

pytestmark = pytest.mark.redis
PITCH_S = 0.05
DEADLINE_S = 20.0
GOOD, BAD = 0.5, 5.0


class BusyLine:
    """Every fifth part is bad; all are spoken of at once."""

    def __init__(self, url: str, *, standby: bool) -> None:
        self.url = url
        self.clock = SystemClock()
        settings = line_settings()
        alerting = settings.alerting.model_copy(update={"standby": standby})
        self.settings = settings.model_copy(update={"alerting": alerting})
        self.bus = MemoryBus(self.clock, MemoryBusLimits(records=10_000))
        self.store = self.connect()
        self.plc = GateSimulator(GateMode.PASS_ASSERTED, self.clock, heartbeat_timeout_ms=60_000)
        self.parts = 0
        self.stop = asyncio.Event()

    def connect(self) -> RedisStore:
        """Connect to the Redis of this line."""
        return RedisStore.from_url(self.url, StoreSettings())

    async def serve(self, process: Process, store: RedisStore) -> None:
        """Run one process of the service."""
        plan = await topics_for(self.settings, self.bus)
        signals = process.signals(MemoryGateSignals(self.plc))
        service = AlertingService(
            self.settings,
            plan=plan,
            bus=process.bus(self.bus),
            store=process.store(store),
            clock=self.clock,
            signals=lambda _: signals,
        )
        await service.run(self.stop)

    async def feed(self, seconds: float) -> None:
        """Let parts come."""
        topics, until_s = self.settings.topics, time.monotonic() + seconds
        while time.monotonic() < until_s:
            part_id, at_ns = f"p{self.parts}", self.clock.utc_ns()
            self.plc.photo_eye(part_id, at_ns + GATE_DELAY_MS * NS_PER_MS)
            await self.bus.publish(topics.captures, encode(announcement(part_id, at_ns=at_ns)), key=None, partition=0)
            verdict = VerdictMessage(inspected(GOOD if self.parts % 5 else BAD, part_id, at_ns=at_ns))
            await self.bus.publish(topics.verdicts, encode(verdict), key=None, partition=0)
            self.parts += 1
            await self.clock.sleep(PITCH_S)

    async def passed(self, *, after: int) -> None:
        """Wait until a part that came after so many was passed."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                self.plc.tick()
                done = {one.part_id for one in self.plc.outcomes() if one.action is GateAction.PASSED}
                if any(int(part[1:]) >= after for part in done):
                    return
                await self.feed(0.1)

    async def settled(self) -> None:
        """Wait until every part left the gate and is recorded."""
        async with asyncio.timeout(DEADLINE_S):
            while len(self.plc.outcomes()) < self.parts or (await self.store.counters(LINE)).settled < self.parts:
                self.plc.tick()
                await self.clock.sleep(0.05)

    async def check(self) -> None:
        """Compare PLC, topic and store."""
        done = {one.part_id: one.action for one in self.plc.outcomes()}
        topic: dict[str, set[Outcome]] = {}
        for record in await read_all(self.bus, self.settings.topics.decisions):
            if kind_of(record.value) is Decision:
                decision, _ = decode(Decision, record.value)
                topic.setdefault(decision.part_id, set()).add(decision.outcome)
        assert set(topic) == set(done) == {f"p{number}" for number in range(self.parts)}
        assert {part for part, found in topic.items() if len(found) > 1} == set()
        passed = {part for part, action in done.items() if action is GateAction.PASSED}
        assert passed == {part for part, found in topic.items() if Outcome.PASS in found}
        assert not {f"p{number}" for number in range(0, self.parts, 5)} & passed
        ours, theirs = await self.store.counters(LINE), self.plc.counters()
        assert (ours.announced, ours.passed, ours.rejected, ours.defaulted) == (
            theirs.parts,
            theirs.passed,
            theirs.rejected,
            theirs.defaulted,
        )


@pytest.fixture
def server(redis_url: str, tmp_path: Path) -> RedisServer:
    """Give a Redis that is not running yet and forgets everything when it ends; it needs what the shared one needs."""
    del redis_url
    return RedisServer(tmp_path / "redis", append_only=False)


@asynccontextmanager
async def at_work(server: RedisServer, *, standby: bool = False) -> AsyncIterator[tuple[BusyLine, Process]]:
    """Serve a line, with a second process beside the first if one stands by; both stop at the end."""
    with server:
        line, first = BusyLine(server.url, standby=standby), Process()
        await topics_for(line.settings, line.bus)
        stores = [line.connect(), line.connect()]
        serving = [asyncio.create_task(line.serve(first, stores[0]))]
        if standby:
            await line.passed(after=0)
            serving.append(asyncio.create_task(line.serve(Process(), stores[1])))
        try:
            yield line, first
            line.stop.set()
            first.thaw()
            async with asyncio.timeout(DEADLINE_S):
                await asyncio.gather(*serving)
        finally:
            for task in serving:
                task.cancel()
            await asyncio.gather(*serving, return_exceptions=True)
            for store in (*stores, line.store):
                await store.close()


async def emptied(server: RedisServer) -> None:
    """Take all its keys."""
    async with redis.asyncio.Redis.from_url(server.url) as client:
        await client.flushall()


async def killed(server: RedisServer) -> None:
    """Kill it, and start it without its data after a while."""
    await asyncio.to_thread(server.kill9)
    await asyncio.sleep(0.7)
    await asyncio.to_thread(server.start)


async def full(server: RedisServer) -> None:
    """Let it refuse every write for a while."""
    async with redis.asyncio.Redis.from_url(server.url) as client:
        await client.config_set("maxmemory", "1")
        await asyncio.sleep(1.2)
        await client.config_set("maxmemory", "0")


@pytest.mark.parametrize("outage", [emptied, killed, full])
async def test_a_redis_that_loses_or_refuses_everything_changes_no_decision(
    server: RedisServer, outage: Callable[[RedisServer], Awaitable[None]]
) -> None:
    """Parts go on, nothing passes unclaimed, and PLC, topic and store agree on each part afterwards."""
    async with at_work(server) as (line, _):
        await line.passed(after=0)
        await line.feed(1)
        feeding = asyncio.create_task(line.feed(3))
        await outage(server)
        back = line.parts
        await feeding
        await line.passed(after=back)
        await line.settled()
        await line.check()


async def test_a_standby_decides_in_time_when_the_holder_freezes(server: RedisServer) -> None:
    """It signals again within 1.5 s; the frozen one wakes and changes nothing."""
    async with at_work(server, standby=True) as (line, first):
        await line.feed(2)
        first.dead.set()
        frozen_s = time.monotonic()
        feeding = asyncio.create_task(line.feed(4))
        # What was under way may have landed.
        await asyncio.sleep(0.02)
        before = line.plc.accepted.sequence
        await eventually(lambda: line.plc.accepted.sequence > before)
        taken_s = time.monotonic() - frozen_s
        print(f"signals again after {taken_s:.2f} s")  # noqa: T201 - for -rA
        assert taken_s <= 1.5
        await feeding
        first.thaw()
        await line.feed(1)
        await line.settled()
        await line.check()
