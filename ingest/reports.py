"""Cameras' states on their way to the bus: only the newest of each camera is worth telling."""

from __future__ import annotations

import asyncio
from typing import Final

from shared.bus.base import Publication
from shared.bus.breaker import Breaker
from shared.clock import Clock
from shared.errors import BusError, BusUnavailableError
from shared.log import Logger

_PAUSE_S: Final = 0.1


class Reports:
    """Takes reports at any time, and publishes them while `run` runs."""

    def __init__(self, breaker: Breaker, clock: Clock, log: Logger) -> None:
        self._breaker = breaker
        self._clock = clock
        self._log = log
        self._waiting: dict[str, Publication] = {}
        self._changed = asyncio.Event()
        self._closed = False

    def say(self, camera: str, report: Publication) -> None:
        """Publish a report about a camera, instead of an older one that still waits."""
        self._waiting.pop(camera, None)
        self._waiting[camera] = report
        self._changed.set()

    def close(self) -> None:
        """Take nothing more; what the bus does not take now is left."""
        self._closed = True
        self._changed.set()

    async def run(self) -> None:
        """Publish until it is closed."""
        while not self._closed:
            await self._changed.wait()
            self._changed.clear()
            if not await self._tell_all():
                # Whatever came meanwhile is looked at after the pause.
                self._changed.set()
                await self._clock.sleep(_PAUSE_S)

    async def _tell_all(self) -> bool:
        """Publish what waits; return whether nothing is left."""
        for camera in list(self._waiting):
            if not await self._tell(camera):
                return False
        return not self._waiting

    async def _tell(self, camera: str) -> bool:
        """Publish the newest report about a camera; return whether it is out of the way."""
        report = self._waiting[camera]
        try:
            await self._breaker.publish(lambda: self._waiting.get(camera))
        except BusUnavailableError as error:
            self._log.debug("report.delayed", camera=camera, error=str(error))
            return False
        except BusError as error:
            self._log.error("report.refused", camera=camera, error=str(error))
        if self._waiting.get(camera) is report:
            del self._waiting[camera]
        return True
