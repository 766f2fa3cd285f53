"""The ledger on real servers while its process is killed again and again, and its store is emptied."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import redis

from deploy.adapters import Adapters, adapters_for
from deploy.ledger.work import Where, tally, verify
from shared.clock import SystemClock
from shared.domain import Capture, CaptureId, PartAnnouncement, Verdict, VerdictStatus
from shared.settings import Settings, load
from shared.wire import VerdictMessage, encode
from tests.lines import LINE

pytestmark = [pytest.mark.kafka, pytest.mark.redis, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
CLOCK = SystemClock()
KILLS = 4
PARTS_A_LIFE = 60
SETTLED_S = 120.0


@asynccontextmanager
async def alerting(config: Path) -> AsyncIterator[None]:
    """Run the role as a process, and kill it."""
    command = [sys.executable, "-m", "deploy.cli", "run", "--config", str(config), "--role", "alerting"]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
    try:
        yield
    finally:
        process.kill()
        await process.wait()


async def send(adapters: Adapters, settings: Settings, part_id: str) -> None:
    """Announce a part, and say that it is good."""
    (line,) = settings.lines
    partition = adapters.plan.plan.of_line(line.name)
    now_ns = CLOCK.utc_ns()
    by_ns = line.decide_by_ns(now_ns)
    part = PartAnnouncement(line.name, part_id, ("camera",), now_ns, by_ns)
    capture = Capture(CaptureId(line.name, "camera", 1, 1), part_id, now_ns, by_ns)
    verdict = Verdict(capture, VerdictStatus.INSPECTED, raw_score=0.1, score=0.1)
    topics = settings.topics
    await adapters.bus.publish(topics.captures, encode(part), key=None, partition=partition)
    await adapters.bus.publish(topics.verdicts, encode(VerdictMessage(verdict)), key=None, partition=partition)


async def settled(adapters: Adapters, least: int) -> None:
    """Wait until so many parts are settled."""
    async with asyncio.timeout(SETTLED_S):
        while (await adapters.store.counters(LINE)).settled < least:  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(0.05)


async def run_line(config: Path, redis_url: str) -> int:
    """Run parts through processes that are killed in the middle, and through an emptied store; return how many."""
    settings = load(config)
    sent = 0
    async with adapters_for(settings) as adapters:
        for life in range(KILLS + 1):
            async with alerting(config):
                before = (await adapters.store.counters(LINE)).settled
                for _ in range(PARTS_A_LIFE):
                    sent += 1
                    await send(adapters, settings, f"p{sent}")
                if life == KILLS:
                    await settled(adapters, sent)
                    with redis.Redis.from_url(redis_url) as client:
                        client.delete(f"{settings.store.key_prefix}:line:{LINE}:ledger")
                    sent += 1
                    await send(adapters, settings, f"p{sent}")
                    await settled(adapters, sent)
                    # The last one is published once it is settled.
                    await asyncio.sleep(2)
                else:
                    await settled(adapters, before + PARTS_A_LIFE // 2)
    return sent


def test_kills_and_a_lost_chain_leave_one_whole_chain(kafka_url: str, redis_url: str, tmp_path: Path) -> None:
    """Each part has its one record, in a chain without a fault; what was published again lies at its place."""
    config = tmp_path / "line.toml"
    run = f"kills-{uuid4().hex}"
    config.write_text(
        f'[bus]\nurl = "{kafka_url}"\ntopic_prefix = "{run}"\n[store]\nurl = "{redis_url}"\nkey_prefix = "{run}"\n'
        f'[[lines]]\nname = "{LINE}"\ngate_delay_ms = 60000\n'
    )
    sent = asyncio.run(run_line(config, redis_url))
    found = verify(Where.of(None, config), None)
    assert (found.faults, found.ends[0].sequence, len(found.ends)) == ((), sent, 1)
    rows = tally(Where.of(None, config)).rows()
    assert (sum(row.parts_in for row in rows), all(row.balanced for row in rows)) == (sent, True)
