"""The pictures of rejects that come when the part is recorded already."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from shared import metrics
from shared.bus.intake import Token
from shared.clock import Clock
from shared.domain import Capture
from shared.errors import StoreError, StoreUnavailableError
from shared.log import get_logger
from shared.store.base import Store

_WAITING: Final = 64
_AGAIN_S: Final = 0.2


class LatePictures:
    """Puts them into the store one after the other, where they hold up nothing else; then their records are `done`.

    A store that is away is asked until it is back. One that refuses a picture is asked twice, and what it did not take,
    or for what there was no room while it was away, is told as lost.
    """

    def __init__(self, store: Store, clock: Clock, done: Callable[[Iterable[Token]], None]) -> None:
        self._store = store
        self._clock = clock
        self._done = done
        self._waiting: asyncio.Queue[tuple[Capture, bytes, Token]] = asyncio.Queue(_WAITING)
        self._log = get_logger("alerting")

    def add(self, capture: Capture, jpeg: bytes, token: Token) -> None:
        """Take on a picture, and what is done with it; never waits."""
        if self._waiting.full():
            metrics.PICTURES_DROPPED.labels(capture.id.line).inc()
            self._lost(capture, "too many wait")
            self._done([token])
        else:
            self._waiting.put_nowait((capture, jpeg, token))

    async def run(self) -> None:
        """Keep what comes; ends when it is cancelled."""
        while True:
            capture, jpeg, token = await self._waiting.get()
            await self._keep(capture, jpeg)
            self._done([token])

    async def _keep(self, capture: Capture, jpeg: bytes) -> None:
        refused = False
        while True:
            try:
                await self._store.put_picture(capture.id.line, capture.part_id, capture.id.camera, jpeg)
            except StoreUnavailableError:
                pass
            except StoreError as error:
                if refused:
                    self._lost(capture, str(error))
                    return
                refused = True
            else:
                return
            await self._clock.sleep(_AGAIN_S)

    def _lost(self, capture: Capture, error: str) -> None:
        self._log.warning("picture.lost", line=capture.id.line, camera=capture.id.camera, error=error)
