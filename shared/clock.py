"""Time as a port: the system's clock, and one that tests turn by hand."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from contextlib import suppress
from typing import Protocol

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


class Clock(Protocol):
    """Where a process gets its time from.

    UTC time stamps what travels between hosts; monotonic time schedules within a process and never steps.
    """

    def utc_ns(self) -> int:
        """Return UTC time in nanoseconds since 1970."""
        ...

    def monotonic_ns(self) -> int:
        """Return this process's own steady time in nanoseconds, from an arbitrary origin."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of monotonic time; zero or less yields once to other tasks."""
        ...


class SystemClock:
    """The host's clocks."""

    def utc_ns(self) -> int:
        """Return the host's UTC time in nanoseconds."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Return the host's monotonic time in nanoseconds."""
        return time.monotonic_ns()

    async def sleep(self, seconds: float) -> None:
        """Sleep on the event loop."""
        await asyncio.sleep(max(0.0, seconds))


class ManualClock:
    """A clock that moves only when `advance` is called: for tests, simulations and stepped replay.

    `step_utc` models a stepped wall clock: UTC jumps, monotonic time does not.
    """

    def __init__(self, utc_ns: int = 1_700_000_000 * NS_PER_S) -> None:
        self._monotonic_ns = 0
        self._utc_offset_ns = utc_ns
        self._order = itertools.count()
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []

    def utc_ns(self) -> int:
        """Return the UTC time that was set, plus what was advanced."""
        return self._utc_offset_ns + self._monotonic_ns

    def monotonic_ns(self) -> int:
        """Return what was advanced so far, in nanoseconds."""
        return self._monotonic_ns

    def step_utc(self, seconds: float) -> None:
        """Let the wall clock jump by `seconds`; sleepers and monotonic time do not notice."""
        self._utc_offset_ns += round(seconds * NS_PER_S)

    async def sleep(self, seconds: float) -> None:
        """Return once `advance` has moved time past `seconds` from now."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        wake_ns = self._monotonic_ns + round(seconds * NS_PER_S)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (wake_ns, next(self._order), future))
        await future

    async def advance(self, seconds: float, *, settle: int = 20) -> None:
        """Move time forward, waking each sleeper at its own instant and letting tasks run `settle` times between."""
        end_ns = self._monotonic_ns + round(seconds * NS_PER_S)
        await self._settle(settle)
        while self._sleepers and self._sleepers[0][0] <= end_ns:
            wake_ns, _, future = heapq.heappop(self._sleepers)
            self._monotonic_ns = max(self._monotonic_ns, wake_ns)
            if not future.done():
                future.set_result(None)
            await self._settle(settle)
        self._monotonic_ns = end_ns
        await self._settle(settle)

    @staticmethod
    async def _settle(rounds: int) -> None:
        for _ in range(rounds):
            await asyncio.sleep(0)


async def wait_event(clock: Clock, event: asyncio.Event, timeout_s: float) -> bool:
    """Wait until `event` is set or `timeout_s` of the clock's time has passed; return whether it is set."""
    if event.is_set() or timeout_s <= 0:
        await asyncio.sleep(0)
        return event.is_set()
    if isinstance(clock, SystemClock):
        # Its time is the event loop's own: a timer is enough, where others need a task that sleeps.
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await event.wait()
        return event.is_set()
    waiter = asyncio.ensure_future(event.wait())
    timer = asyncio.ensure_future(clock.sleep(timeout_s))
    try:
        await asyncio.wait({waiter, timer}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiter.cancel()
        timer.cancel()
        await asyncio.gather(waiter, timer, return_exceptions=True)
    return event.is_set()
