"""A clock that jumps: everybody wakes at his own instant, and only when nobody works."""

from __future__ import annotations

import asyncio

from deploy.fast_clock import FastClock, run_fast
from shared.clock import NS_PER_S, wait_event


def test_sleepers_wake_in_order_at_their_own_instants() -> None:
    """Also those who sleep again, and an hour takes no time."""

    async def work(clock: FastClock) -> list[tuple[str, float]]:
        began_ns, woken = clock.utc_ns(), []

        async def sleeper(name: str, *naps_s: float) -> None:
            for nap_s in naps_s:
                await clock.sleep(nap_s)
                woken.append((name, clock.monotonic_ns() / NS_PER_S))

        await asyncio.gather(sleeper("a", 1.0, 3_600.0), sleeper("b", 0.5, 1.0), sleeper("c", 0.0))
        assert clock.utc_ns() - began_ns == 3_601 * NS_PER_S
        return woken

    assert run_fast(work) == [("c", 0.0), ("b", 0.5), ("a", 1.0), ("b", 1.5), ("a", 3_601.0)]


def test_time_stands_still_while_anybody_works() -> None:
    """However many turns that takes."""

    async def work(clock: FastClock) -> int:
        timer = asyncio.create_task(clock.sleep(1))
        for _ in range(1_000):
            await asyncio.sleep(0)
        busy_ns = clock.monotonic_ns()
        await timer
        return busy_ns

    assert run_fast(work) == 0


def test_a_sleeper_that_was_cancelled_holds_nobody_up() -> None:
    """Nor does the clock go to where it would have woken."""

    async def work(clock: FastClock) -> float:
        event = asyncio.Event()
        setter = asyncio.create_task(clock.sleep(2))
        setter.add_done_callback(lambda _: event.set())
        assert await wait_event(clock, event, 60)
        await clock.sleep(1)
        return clock.monotonic_ns() / NS_PER_S

    assert run_fast(work) == 3.0
