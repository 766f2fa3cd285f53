"""Steps of many tasks through an outage of what they all need, and out of it again without a stampede."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from shared.clock import Clock
from shared.errors import LinewardenError
from shared.log import Logger

T = TypeVar("T")
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 0.5


class Turns(Generic[T]):
    """Lets everybody take `step` while it succeeds; once it raised `away` one at a time tries it, after a pause.

    Pauses double up to half a second, and each is drawn between half of that and all of it, so that many processes do
    not try in step. `what` names in the log what is away.
    """

    def __init__(
        self,
        step: Callable[[T], Awaitable[None]],
        *,
        away: type[LinewardenError],
        what: str,
        clock: Clock,
        log: Logger,
        rng: random.Random | None = None,
    ) -> None:
        self._step = step
        self._error = away
        self._what = what
        self._clock = clock
        self._log = log
        self._rng = rng or random.Random()  # noqa: S311 - spreads attempts, guards nothing
        self._trying = asyncio.Lock()
        self._away = False
        self._pause_s = _FIRST_PAUSE_S

    async def take(self, wanted: Callable[[], T | None]) -> None:
        """Take the step once with what is `wanted`; its errors.

        `wanted` is asked again when it is this caller's turn, and may say None: nothing is held, and nothing is done,
        that was given up while it waited.
        """
        if self._away:
            async with self._trying:
                if self._away:
                    await self._try(wanted)
                    return
        await self._once(wanted())

    async def _try(self, wanted: Callable[[], T | None]) -> None:
        if wanted() is None:
            return
        await self._clock.sleep(self._pause_s * self._rng.uniform(0.5, 1.0))
        self._pause_s = min(_LONGEST_PAUSE_S, self._pause_s * 2)
        await self._once(wanted())

    async def _once(self, thing: T | None) -> None:
        if thing is None:
            return
        try:
            await self._step(thing)
        except self._error as error:
            self._turn(away=True, error=str(error))
            raise
        self._turn(away=False)
        self._pause_s = _FIRST_PAUSE_S

    def _turn(self, *, away: bool, error: str | None = None) -> None:
        if away and not self._away:
            self._log.warning(f"{self._what}.away", error=error)
        elif self._away and not away:
            self._log.info(f"{self._what}.back")
        self._away = away
