"""A ledger on real servers: recorded through Redis onto Kafka, and verified from there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest

from alerting.ledger import Ledger
from deploy.adapters import adapters_for
from deploy.ledger.work import Where, tally, verify
from shared.clock import SystemClock
from shared.domain import Outcome
from shared.settings import Settings, load
from shared.wire import encode
from tests.ledgers import named
from tests.lines import LINE, announcement, decided

pytestmark = [pytest.mark.kafka, pytest.mark.redis]


async def record(settings: Settings, *parts: str, published: bool = True) -> None:
    """Announce and record parts as one process does."""
    async with adapters_for(settings) as adapters:
        plan, topics = adapters.plan.plan, settings.topics
        ledger = Ledger(
            bus=adapters.bus, store=adapters.store, clock=SystemClock(), topics=topics, plan=plan, journal=None
        )
        for part in parts:
            message = encode(announcement(part))
            await adapters.bus.publish(topics.captures, message, key=None, partition=plan.of_line(LINE))
            found = await ledger.settle(decided(part, Outcome.PASS), latency_ms=None, unconfirmed=False)
            if published:
                await ledger.publish(found, LINE, part)


async def forget(settings: Settings) -> None:
    """Lose all that the store knows of the ledger."""
    async with adapters_for(settings) as adapters:
        await adapters.store._client.delete(adapters.store._key(LINE, "ledger"))  # type: ignore[attr-defined]


def test_a_topic_is_verified_against_itself_and_the_store(kafka_url: str, redis_url: str, tmp_path: Path) -> None:
    """Over restarts and a store that lost the chain; a record that only the store has is missing on the topic."""
    config = tmp_path / "line.toml"
    run = f"ledger-{uuid4().hex}"
    config.write_text(
        f'[bus]\nurl = "{kafka_url}"\ntopic_prefix = "{run}"\n[store]\nurl = "{redis_url}"\nkey_prefix = "{run}"\n'
        f'[[lines]]\nname = "{LINE}"\n'
    )
    settings = load(config)
    asyncio.run(record(settings, "p1", "p2"))
    asyncio.run(record(settings, "p3"))
    asyncio.run(forget(settings))
    asyncio.run(record(settings, "p4"))
    found = verify(Where.of(None, config), None)
    assert (found.faults, found.records, found.ends[0].sequence) == ((), 4, 4)
    (row,) = tally(Where.of(None, config)).rows()
    assert (row.parts_in, row.passed, row.balanced) == (4, 4, True)
    asyncio.run(record(settings, "p5", published=False))
    assert verify(Where.of(None, config), None).faults == ()  # it may be on its way
    asyncio.run(record(settings, "p6", published=False))
    # Its process first published what it found unpublished.
    found = verify(Where.of(None, config), None)
    assert (found.faults, found.ends[0].sequence) == ((), 5)
    asyncio.run(record(settings, "p7", "p8", published=False))
    assert named(verify(Where.of(None, config), None)) == [("missing", 8, "")]
