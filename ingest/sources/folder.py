"""A folder of pictures as a camera, paced."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from ingest.sources.base import Fault, Shot
from ingest.sources.pacing import Pacer
from ingest.sources.pictures import PictureFile, find_pictures, read_picture
from shared.clock import Clock
from shared.errors import PictureError
from shared.log import get_logger


class FolderSource:
    """Plays the pictures of a folder; with a limit above their number it begins again, without one it plays once."""

    numbers_parts = True
    counts: Mapping[str, int] = MappingProxyType({})

    def __init__(self, folder: Path, *, rate_hz: float, limit: int | None, seed: int, clock: Clock) -> None:
        self._folder = folder
        self._pacer = Pacer(clock, rate_hz)
        self._limit = limit
        self._seed = seed
        self._clock = clock
        self._files: list[PictureFile] = []
        self._number = 0
        self._log = get_logger("ingest")

    async def open(self) -> None:
        """List the pictures; raises `DataError` when there are none."""
        self._files = await asyncio.to_thread(find_pictures, self._folder, seed=self._seed)

    async def read(self) -> Shot | None:
        """Return the next picture; one that cannot be decoded is an exposure without pixels."""
        if self._number >= (self._limit or len(self._files)):
            return None
        file = self._files[self._number % len(self._files)]
        self._number += 1
        try:
            pixels = await asyncio.to_thread(read_picture, file.path)
        except PictureError as error:
            self._log.warning("picture.unreadable", error=str(error))
            pixels = None
        await self._pacer.tick()
        fault = Fault.UNREADABLE if pixels is None else None
        return Shot(pixels, self._clock.utc_ns(), self._number, file.label, fault=fault)

    async def close(self) -> None:
        """Nothing to let go of."""
