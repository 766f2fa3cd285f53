"""The lease of a line: who has it, how long its holder believes so, and who may take it when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from alerting.lease import LeaseKeeper, Tenure
from shared.clock import ManualClock
from shared.store.base import LeaseRecord
from tests.lines import LINE
from tests.outages import CuttableStore

LEASE_MS = 1_000


class Rivals:
    """Processes that want one line, each behind a network of its own to one store."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = CuttableStore.embedded(self.clock)
        self.tasks: list[asyncio.Task[None]] = []

    def keeper(self, holder: str, *, alone: bool = False, store: CuttableStore | None = None) -> LeaseKeeper:
        """Make one."""
        return LeaseKeeper(
            LINE, holder=holder, store=store or self.store, clock=self.clock, lease_ms=LEASE_MS, alone=alone
        )

    def other_way(self) -> CuttableStore:
        """Return another way to the same store."""
        return self.store.other_way()

    async def acquired(self, keeper: LeaseKeeper, *, within_s: float) -> Tenure | None:
        """Return the tenure that the keeper gets within this time, if it does."""
        getting = asyncio.create_task(keeper.acquire(asyncio.Event()))
        for _ in range(round(within_s / 0.01)):
            await self.clock.advance(0.01)
            if getting.done():
                return await getting
        getting.cancel()
        await asyncio.gather(getting, return_exceptions=True)
        return None

    def keep(self, keeper: LeaseKeeper, tenure: Tenure) -> asyncio.Task[None]:
        """Let the keeper renew."""
        task = asyncio.create_task(keeper.keep(tenure))
        self.tasks.append(task)
        return task


@asynccontextmanager
async def rivals() -> AsyncIterator[Rivals]:
    """Make them, and end them with the test."""
    made = Rivals()
    try:
        yield made
    finally:
        for task in made.tasks:
            task.cancel()
        await asyncio.gather(*made.tasks, return_exceptions=True)
        await made.store.close()


async def test_a_process_alone_takes_its_line_at_once() -> None:
    """From nobody, and from one that died: with a higher token."""
    async with rivals() as line:
        first = await line.acquired(line.keeper("one", alone=True), within_s=0.05)
        again = await line.acquired(line.keeper("one-again", alone=True), within_s=0.05)
        assert first is not None
        assert again is not None
        assert first.token is not None
        assert again.token is not None
        assert again.token > first.token


async def test_a_lease_that_is_renewed_is_not_taken() -> None:
    """However long another watches."""
    async with rivals() as line:
        keeper = line.keeper("one", alone=True)
        tenure = await line.acquired(keeper, within_s=0.05)
        assert tenure is not None
        line.keep(keeper, tenure)
        assert await line.acquired(line.keeper("two"), within_s=10) is None
        assert tenure.holds()


async def test_the_holder_stops_before_another_may_begin() -> None:
    """Cut off from the store it believes for one lease at most; the other takes it later, and within the bound."""
    async with rivals() as line:
        way = line.other_way()
        keeper = line.keeper("one", store=way)
        tenure = await line.acquired(keeper, within_s=2)
        assert tenure is not None
        line.keep(keeper, tenure)
        watching = asyncio.create_task(line.keeper("two").acquire(asyncio.Event()))
        await line.clock.advance(3.05)
        way.away = True
        cut_ns = line.clock.monotonic_ns()
        stopped_s = taken_s = 0.0
        while not watching.done():
            await line.clock.advance(0.01)
            since_s = (line.clock.monotonic_ns() - cut_ns) / 1e9
            stopped_s = stopped_s or (0.0 if tenure.holds() else since_s)
            taken_s = since_s
        assert 0 < stopped_s <= 1.0
        assert stopped_s < taken_s <= 1.25
        way.away = False
        await line.clock.advance(0.5)
        assert line.tasks[0].done()
        taken = await watching
        assert taken is not None
        assert taken.holds()


async def test_one_that_comes_back_in_time_goes_on() -> None:
    """An outage that ends before another took the line costs its holder signals, and not the line."""
    async with rivals() as line:
        keeper = line.keeper("one")
        tenure = await line.acquired(keeper, within_s=2)
        assert tenure is not None
        line.keep(keeper, tenure)
        line.store.away = True
        await line.clock.advance(1.5)
        assert not tenure.holds()
        line.store.away = False
        await line.clock.advance(0.3)
        assert tenure.holds()


async def test_a_renewal_whose_answer_was_lost_is_found_again() -> None:
    """It was done: the holder goes on from it."""
    async with rivals() as line:
        keeper = line.keeper("one")
        tenure = await line.acquired(keeper, within_s=2)
        assert tenure is not None
        keeping = line.keep(keeper, tenure)
        line.store.fails_once.add("move_lease answer")
        await line.clock.advance(3)
        assert tenure.holds()
        assert not keeping.done()


async def test_a_lease_that_was_let_go_is_taken_at_once() -> None:
    """A line that is handed over in order waits for a look of its standby alone."""
    async with rivals() as line:
        keeper = line.keeper("one")
        tenure = await line.acquired(keeper, within_s=2)
        assert tenure is not None
        await keeper.release(tenure)
        assert not tenure.holds()
        assert await line.acquired(line.keeper("two"), within_s=0.1) is not None


async def test_an_emptied_store_gives_the_lease_back_with_a_higher_token() -> None:
    """At once to its holder, which claims nothing until the store was mended; a standby gets nothing."""
    async with rivals() as line:
        keeper = line.keeper("one")
        tenure = await line.acquired(keeper, within_s=2)
        assert tenure is not None
        line.keep(keeper, tenure)
        before = tenure.token
        assert before is not None
        tenure.mended(before)
        watching = asyncio.create_task(line.keeper("two").acquire(asyncio.Event()))
        line.store.data.clear()
        await line.clock.advance(0.25)
        assert tenure.token is not None
        assert tenure.token > before
        assert tenure.holds()
        claims = [tenure.may_claim]
        for token in (before, tenure.token):
            tenure.mended(token)
            claims.append(tenure.may_claim)
        assert claims == [False, False, True]
        await line.clock.advance(3)
        assert not watching.done()
        watching.cancel()


async def test_one_that_lapsed_does_not_take_an_emptied_store_for_its_own() -> None:
    """Somebody else may have had the line before the store lost that: it waits like everybody."""
    async with rivals() as line:
        keeper = line.keeper("one")
        tenure = await line.acquired(keeper, within_s=2)
        assert tenure is not None
        keeping = line.keep(keeper, tenure)
        line.store.away = True
        await line.clock.advance(1.5)
        line.store.data.clear()
        line.store.away = False
        await line.clock.advance(0.3)
        assert keeping.done()
        assert not tenure.holds()
        assert await line.store.lease(LINE) is None


async def test_of_two_that_run_alone_the_later_has_the_line() -> None:
    """A second process that was started by mistake takes it once; the first stops, and does not take it back."""
    async with rivals() as line:
        first = line.keeper("one", alone=True)
        tenure = await line.acquired(first, within_s=0.05)
        assert tenure is not None
        keeping = line.keep(first, tenure)
        second = line.keeper("two", alone=True)
        taken = await line.acquired(second, within_s=0.05)
        assert taken is not None
        line.keep(second, taken)
        await line.clock.advance(0.3)
        assert keeping.done()
        assert not tenure.holds()
        assert await line.acquired(first, within_s=5) is None
        assert taken.holds()


async def test_a_process_alone_starts_while_the_store_is_away() -> None:
    """It claims nothing, and takes its line when the store is there."""
    async with rivals() as line:
        line.store.away = True
        keeper = line.keeper("one", alone=True)
        tenure = await line.acquired(keeper, within_s=0.05)
        assert tenure is not None
        line.keep(keeper, tenure)
        await line.clock.advance(3)
        assert (tenure.holds(), tenure.may_claim) == (True, False)
        line.store.away = False
        await line.clock.advance(0.3)
        stands = await line.store.lease(LINE)
        assert stands is not None
        assert (stands.holder, stands.token) == ("one", tenure.token)
        assert isinstance(stands, LeaseRecord)
