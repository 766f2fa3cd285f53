"""Publishing for many tasks through an outage, and out of it again without a stampede."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Final

from shared.bus.base import Bus, Publication
from shared.clock import Clock
from shared.errors import BusUnavailableError
from shared.log import Logger

_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 0.5


class Breaker:
    """Lets everybody publish while the bus answers; while it is away one at a time tries it, after a pause.

    Pauses double up to half a second, and each is drawn between half of that and all of it, so that many processes do
    not try in step.
    """

    def __init__(self, bus: Bus, clock: Clock, log: Logger, rng: random.Random | None = None) -> None:
        self._bus = bus
        self._clock = clock
        self._log = log
        self._rng = rng or random.Random()  # noqa: S311 - spreads attempts, guards nothing
        self._trying = asyncio.Lock()
        self._away = False
        self._pause_s = _FIRST_PAUSE_S

    async def publish(self, wanted: Callable[[], Publication | None]) -> None:
        """Publish once; the errors of the bus.

        `wanted` is asked again when it is this caller's turn, and may say None: nothing is held, and nothing is sent,
        that was given up while it waited.
        """
        if self._away:
            async with self._trying:
                if self._away:
                    await self._try(wanted)
                    return
        await self._once(wanted())

    async def _try(self, wanted: Callable[[], Publication | None]) -> None:
        if wanted() is None:
            return
        await self._clock.sleep(self._pause_s * self._rng.uniform(0.5, 1.0))
        self._pause_s = min(_LONGEST_PAUSE_S, self._pause_s * 2)
        await self._once(wanted())

    async def _once(self, publication: Publication | None) -> None:
        if publication is None:
            return
        try:
            await self._bus.publish(
                publication.topic,
                publication.value,
                key=publication.key,
                partition=publication.partition,
                headers=publication.headers,
            )
        except BusUnavailableError as error:
            self._turn(away=True, error=str(error))
            raise
        self._turn(away=False)
        self._pause_s = _FIRST_PAUSE_S

    def _turn(self, *, away: bool, error: str | None = None) -> None:
        if away and not self._away:
            self._log.warning("bus.away", error=error)
        elif self._away and not away:
            self._log.info("bus.back")
        self._away = away
