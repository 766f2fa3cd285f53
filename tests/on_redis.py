"""A real Redis beside a clock that is turned by hand: the clock waits for its answers."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from shared.clock import ManualClock
from shared.store.redis import RedisStore
from shared.store.settings import StoreSettings


class WatchedRedisStore(RedisStore):
    """A store that knows how many of its commands are on their way."""

    on_their_way = 0

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        self.on_their_way += 1
        try:
            with super()._mapped():
                yield
        finally:
            self.on_their_way -= 1

    @property
    def prefix(self) -> str:
        """Return what its keys begin with."""
        return self._settings.key_prefix


class PatientClock(ManualClock):
    """A clock that moves on once the store has answered whoever asked it."""

    store: WatchedRedisStore | None = None

    async def _settle(self, rounds: int) -> None:  # type: ignore[override]
        for _ in range(rounds):
            await asyncio.sleep(0)
            while self.store is not None and self.store.on_their_way:  # noqa: ASYNC110 - it is Redis that waits
                await asyncio.sleep(0)


def on_redis(url: str) -> tuple[WatchedRedisStore, PatientClock]:
    """Return a store with keys that no other test sees, and its clock."""
    store, clock = WatchedRedisStore.from_url(url, StoreSettings(key_prefix=f"test-{uuid.uuid4().hex}")), PatientClock()
    clock.store = store
    return store, clock
