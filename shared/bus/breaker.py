"""Publishing for many tasks through an outage, and out of it again without a stampede."""

from __future__ import annotations

import random
from collections.abc import Callable

from shared.bus.base import Bus, Publication
from shared.clock import Clock
from shared.errors import BusUnavailableError
from shared.log import Logger
from shared.turns import Turns


class Breaker:
    """Lets everybody publish while the bus answers; while it is away one at a time tries it: see `Turns`."""

    def __init__(self, bus: Bus, clock: Clock, log: Logger, rng: random.Random | None = None) -> None:
        self._bus = bus
        self._turns = Turns(self._publish, away=BusUnavailableError, what="bus", clock=clock, log=log, rng=rng)

    async def publish(self, wanted: Callable[[], Publication | None]) -> None:
        """Publish once what is `wanted` when it is this caller's turn, if anything is; the errors of the bus."""
        await self._turns.take(wanted)

    async def _publish(self, publication: Publication) -> None:
        await self._bus.publish(
            publication.topic,
            publication.value,
            key=publication.key,
            partition=publication.partition,
            headers=publication.headers,
        )
