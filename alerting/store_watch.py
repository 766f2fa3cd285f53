"""Whether the store answers, as far as deciding needs to know: no signal waits for one that is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from shared.clock import NS_PER_S, Clock
from shared.errors import StoreError, StoreUnavailableError
from shared.log import get_logger
from shared.store.base import Store

T = TypeVar("T")
_AGAIN_S: Final = 0.05


class StoreWatch:
    """What one line knows of the store. One that failed once is `away` until it answers again, and is asked nothing.

    A store that hangs is found out by the first who waits for it: `within` ends the wait.
    """

    def __init__(self, line: str, store: Store, clock: Clock) -> None:
        self.away = False
        self._store = store
        self._clock = clock
        self._failed = asyncio.Event()
        self._log = get_logger("alerting").bind(line=line)

    async def within(self, step: Coroutine[Any, Any, T], until_ns: int) -> T:
        """Return what the store answers; `StoreUnavailableError` once `until_ns`, monotonic, has passed.

        What was asked may have been done all the same.
        """
        asked = asyncio.ensure_future(step)
        timer = asyncio.ensure_future(self._clock.sleep((until_ns - self._clock.monotonic_ns()) / NS_PER_S))
        try:
            await asyncio.wait({asked, timer}, return_when=asyncio.FIRST_COMPLETED)
            if asked.done():
                return asked.result()
            raise StoreUnavailableError("the store did not answer in the time that a part has")
        finally:
            timer.cancel()
            if not asked.done():
                asked.cancel()
                await asyncio.gather(asked, return_exceptions=True)

    def failed(self, error: StoreError) -> None:
        """Take note that it did not do what it was asked for."""
        if not self.away:
            self._log.warning("store.away", error=str(error))
        self.away = True
        self._failed.set()

    async def run(self, back: Callable[[], None]) -> None:
        """Ask one that is away until it answers, and call `back` then; ends when it is cancelled."""
        while True:
            await self._failed.wait()
            await self._clock.sleep(_AGAIN_S)
            try:
                await self._store.ping()
            except StoreError:
                continue
            self.away = False
            self._failed.clear()
            self._log.info("store.back")
            back()
