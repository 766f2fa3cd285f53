"""The rendered conveyor as a camera."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType

from ingest.rendering.conveyor import Conveyor, ConveyorSettings
from ingest.sources.base import Shot
from ingest.sources.pacing import Pacer
from shared.clock import Clock


class RenderedSource:
    """Renders part after part, each ahead of its own tick: a camera's exposure costs no computing time either."""

    numbers_parts = True
    counts: Mapping[str, int] = MappingProxyType({})

    def __init__(self, settings: ConveyorSettings, *, rate_hz: float, limit: int | None, clock: Clock) -> None:
        self._conveyor = Conveyor(settings)
        self._pacer = Pacer(clock, rate_hz)
        self._limit = limit
        self._clock = clock
        self._number = 0

    async def open(self) -> None:
        """Nothing to connect to."""

    async def read(self) -> Shot | None:
        """Return the next part."""
        if self._limit is not None and self._number >= self._limit:
            return None
        self._number += 1
        part = await asyncio.to_thread(self._conveyor.render, self._number)
        await self._pacer.tick()
        return Shot(part.pixels, self._clock.utc_ns(), self._number, part.label)

    async def close(self) -> None:
        """Nothing to let go of."""
