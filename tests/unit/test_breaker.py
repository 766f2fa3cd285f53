"""Publishing through an outage."""

import asyncio
import random

import pytest
import structlog

from shared.bus.base import Publication
from shared.bus.breaker import Breaker
from shared.bus.memory import MemoryBus
from shared.clock import ManualClock
from shared.errors import BusUnavailableError
from shared.log import get_logger
from tests.lines import read_all
from tests.outages import CuttableBus

TOPIC = "parts"
MESSAGE = Publication(TOPIC, b"part", key=None, partition=0)


class Crowd:
    """Many tasks that publish one message each, again and again until it is taken."""

    def __init__(self, seed: int = 0) -> None:
        self.clock = ManualClock()
        self.bus = CuttableBus(MemoryBus(self.clock))
        self.breaker = Breaker(self.bus, self.clock, get_logger("test"), random.Random(seed))  # noqa: S311
        self.given_up: set[int] = set()

    async def publish(self, number: int) -> None:
        """Insist on one message, unless it is given up."""
        while number not in self.given_up:
            try:
                await self.breaker.publish(lambda: None if number in self.given_up else MESSAGE)
            except BusUnavailableError:
                continue
            return

    async def taken(self) -> int:
        """Return how many messages lie on the bus."""
        return len(await read_all(self.bus, TOPIC))


async def crowd(size: int, seed: int = 0) -> tuple[Crowd, list[asyncio.Task[None]]]:
    """Return a crowd that meets a bus that is away."""
    made = Crowd(seed)
    await made.bus.ensure_topics({TOPIC: 1})
    made.bus.away = True
    return made, [asyncio.create_task(made.publish(number)) for number in range(size)]


async def test_one_at_a_time_tries_a_bus_that_is_away() -> None:
    """A hundred waiting tasks ask at most ten times a second after the first moment; all go once it answers."""
    many, tasks = await crowd(100)
    await many.clock.advance(1)
    before = many.bus.refused
    await many.clock.advance(10)
    tries = many.bus.refused - before
    assert 10 / 0.5 <= tries <= 10 / 0.25 + 1
    many.bus.away = False
    await many.clock.advance(0.5, settle=500)
    assert all(task.done() for task in tasks)
    assert await many.taken() == 100


async def test_no_two_processes_try_in_step() -> None:
    """Their pauses are drawn, so an outage's end is not met by all of them at once."""
    instants = []
    for seed in range(20):
        many, tasks = await crowd(1, seed)
        await many.clock.advance(2)
        many.bus.away = False
        await many.clock.advance(1)
        instants.append(many.bus.refused)
        await asyncio.gather(*tasks)
    assert len(set(instants)) > 1


async def test_what_is_given_up_meanwhile_is_not_sent_and_holds_up_nobody() -> None:
    """Those whose frames are too late leave at once, and the pause is spent on one that still wants to go."""
    many, tasks = await crowd(100)
    await many.clock.advance(2)
    many.given_up.update(range(99))
    await many.clock.advance(0.5, settle=500)
    assert [task.done() for task in tasks] == [True] * 99 + [False]
    many.bus.away = False
    await many.clock.advance(0.5)
    assert tasks[99].done()
    assert await many.taken() == 1


async def test_an_outage_is_said_once_and_its_end_too() -> None:
    """Not with every attempt."""
    with structlog.testing.capture_logs() as logged:
        many, tasks = await crowd(3)
        await many.clock.advance(5)
        many.bus.away = False
        await many.clock.advance(1)
        await asyncio.gather(*tasks)
    assert [entry["event"] for entry in logged] == ["bus.away", "bus.back"]


async def test_a_cancelled_attempt_leaves_the_way_free() -> None:
    """A task that is stopped while it tries does not keep others from it."""
    many, tasks = await crowd(2)
    await many.clock.advance(1)
    tasks[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    many.bus.away = False
    await many.clock.advance(1)
    assert tasks[1].done()
