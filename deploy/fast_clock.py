"""An hour in minutes: a clock that jumps to the next sleeper whenever nothing else is left to do.

Work costs no simulated time, so that what takes time in it is what somebody really waits for. It is for what runs in
this process alone: an answer that comes over a network would come after its timeout.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from shared.clock import NS_PER_S

T = TypeVar("T")


class FastClock:
    """Time that stands still while anybody works."""

    def __init__(self, utc_ns: int = 1_700_000_000 * NS_PER_S) -> None:
        self._began_ns = utc_ns
        self._now_ns = 0
        self._order = itertools.count()
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []

    def utc_ns(self) -> int:
        """Return UTC time."""
        return self._began_ns + self._now_ns

    def monotonic_ns(self) -> int:
        """Return how far it has come."""
        return self._now_ns

    async def sleep(self, seconds: float) -> None:
        """Return when the clock has come so far."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now_ns + round(seconds * NS_PER_S), next(self._order), future))
        await future

    def jump(self) -> bool:
        """Go to the next instant for which somebody sleeps, and wake those; return False where nobody does."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        if not self._sleepers:
            return False
        self._now_ns = max(self._now_ns, self._sleepers[0][0])
        while self._sleepers and self._sleepers[0][0] <= self._now_ns:
            future = heapq.heappop(self._sleepers)[2]
            if not future.done():
                future.set_result(None)
        return True


class _Jumping(selectors.DefaultSelector):
    """A selector that lets the clock jump instead of waiting."""

    def __init__(self, clock: FastClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready; the loop asks with a timeout of 0 as long as it has work."""
        ready = super().select(0)
        if ready or timeout == 0 or self._clock.jump():
            return ready
        return super().select(timeout)


def run_fast(work: Callable[[FastClock], Coroutine[Any, Any, T]]) -> T:
    """Run `work` on a fast clock to its end."""
    clock = FastClock()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(_Jumping(clock))) as runner:
        return runner.run(work(clock))
