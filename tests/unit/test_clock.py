import asyncio

from shared.clock import NS_PER_S, ManualClock, SystemClock, wait_event
from tests.lines import T0_NS


async def test_a_manual_clock_moves_only_when_it_is_told() -> None:
    """UTC and monotonic time advance together."""
    clock = ManualClock()
    assert (clock.utc_ns(), clock.monotonic_ns()) == (T0_NS, 0)
    await clock.advance(1.5)
    assert (clock.utc_ns(), clock.monotonic_ns()) == (T0_NS + 1_500_000_000, 1_500_000_000)


async def test_a_step_moves_utc_alone() -> None:
    """Sleepers do not notice."""
    clock = ManualClock()
    sleeper = asyncio.create_task(clock.sleep(1))
    await clock.advance(0.5)
    clock.step_utc(-3_600)
    assert clock.utc_ns() == T0_NS + NS_PER_S // 2 - 3_600 * NS_PER_S
    await clock.advance(0.4)
    assert not sleeper.done()
    await clock.advance(0.1)
    assert sleeper.done()


async def test_sleepers_wake_in_order_and_at_their_own_time() -> None:
    """A long advance is not one jump: each sleeper sees its own instant, and one that sleeps again is woken again."""
    clock = ManualClock()
    woken: list[tuple[str, int]] = []

    async def sleep(name: str, seconds: float, times: int) -> None:
        for _ in range(times):
            await clock.sleep(seconds)
            woken.append((name, clock.monotonic_ns() // 1_000_000))

    tasks = [asyncio.create_task(sleep("slow", 0.25, 1)), asyncio.create_task(sleep("fast", 0.1, 3))]
    await clock.advance(1)
    assert woken == [("fast", 100), ("fast", 200), ("slow", 250), ("fast", 300)]
    await asyncio.gather(*tasks)


async def test_a_cancelled_sleeper_does_no_harm() -> None:
    """Its time passes without it."""
    clock = ManualClock()
    sleeper = asyncio.create_task(clock.sleep(1))
    await asyncio.sleep(0)
    sleeper.cancel()
    await clock.advance(2)
    assert sleeper.cancelled()


async def test_an_event_ends_the_wait() -> None:
    """Whichever is first, the event or the time, and nothing stays behind."""
    clock = ManualClock()
    event = asyncio.Event()
    waiting = asyncio.create_task(wait_event(clock, event, 10))
    await clock.advance(1)
    assert not waiting.done()
    event.set()
    await clock.advance(0)
    assert waiting.result() is True
    assert await wait_event(clock, event, 10) is True
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_the_time_ends_the_wait() -> None:
    """Without the event, the answer is False."""
    clock = ManualClock()
    event = asyncio.Event()
    waiting = asyncio.create_task(wait_event(clock, event, 1))
    await clock.advance(1)
    assert waiting.result() is False
    assert await wait_event(clock, event, 0) is False


async def test_a_cancelled_wait_leaves_no_task_behind() -> None:
    """At whatever step the cancellation meets it."""
    for steps in range(12):
        clock, event = ManualClock(), asyncio.Event()
        waiting = asyncio.create_task(wait_event(clock, event, 1))
        for step in range(steps):
            await asyncio.sleep(0)
            if step == steps // 2:
                event.set()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_the_system_clock_runs() -> None:
    """Monotonic time never goes back, and sleeping for nothing returns."""
    clock = SystemClock()
    before_ns = clock.monotonic_ns()
    await clock.sleep(-1)
    assert clock.monotonic_ns() >= before_ns
    assert clock.utc_ns() > T0_NS
