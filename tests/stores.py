"""Two stores as two processes have them, on one server, real or in this process."""

from __future__ import annotations

import uuid
from datetime import UTC

import fakeredis
import redis.asyncio

from shared.alerts import Severity, StandingAlert
from shared.shifts import Shifts
from shared.store.base import Alert
from shared.store.redis import RedisStore, RedisStoreSettings

LINE = "bottling"
RETENTION_S = 1_000
PICTURE_TTL_S = 100
STREAM_LENGTH = 100
PICTURE_BYTES = 300
SHIFT_RETENTION_S = 5_000


class Rig:
    """Two stores as two processes have them, on the same data, which no other test sees; and a client to look in."""

    def __init__(self, url: str) -> None:
        self.prefix = f"test-{uuid.uuid4().hex}"
        self._url = url
        self._server = fakeredis.FakeServer()
        self.client = self._connect()
        self.store, self.other = self.make(), self.make()

    def make(self) -> RedisStore:
        """Connect once more."""
        settings = RedisStoreSettings(
            self.prefix,
            RETENTION_S,
            PICTURE_TTL_S,
            STREAM_LENGTH,
            picture_bytes=PICTURE_BYTES,
            shift_retention_s=SHIFT_RETENTION_S,
            shifts={LINE: Shifts(("06:00", "18:00"), UTC)},
        )
        if self._url == "memory://":
            return RedisStore(self._connect(), settings, "memory")
        return RedisStore.from_url(self._url, settings)

    async def ttl_s(self, *key: str) -> int:
        """Return how long a key still lives."""
        return int(await self.client.ttl(":".join((self.prefix, "line", LINE, *key))))

    async def close(self) -> None:
        """Remove the data and disconnect."""
        async for key in self.client.scan_iter(match=f"{self.prefix}:*"):
            await self.client.delete(key)
        for open_client in (self.client, self.store, self.other):
            await (open_client.aclose() if isinstance(open_client, redis.asyncio.Redis) else open_client.close())

    def _connect(self) -> redis.asyncio.Redis:
        if self._url == "memory://":
            client: redis.asyncio.Redis = fakeredis.FakeAsyncRedis(server=self._server, protocol=2)
            return client
        return redis.asyncio.Redis.from_url(self._url, protocol=2)


async def tell(store: RedisStore, alert: Alert) -> None:
    """Let operators be told of something, and nothing else."""
    standing = StandingAlert(alert.line, alert.kind, alert.subject, Severity.INFO, alert.text, alert.at_ns, alert.at_ns)
    await store.put_alert(standing, told=alert)
