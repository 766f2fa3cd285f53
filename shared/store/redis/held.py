"""The store's small secrets with a time to live on Redis, such as who is signed in at the console.

Keys: `held:NAME` (string). They are for all lines.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any


class RedisHeld:
    """What `RedisStore` does about values that end by themselves."""

    _client: Any

    async def hold(self, name: str, value: bytes, *, ttl_s: int, again: bool = False) -> bool:
        """Set with a time to live."""
        with self._mapped():
            done = await self._client.set(self._prefixed("held", name), value, ex=ttl_s, xx=again)
        return bool(done)

    async def held(self, name: str) -> bytes | None:
        """Return the value."""
        with self._mapped():
            found: bytes | None = await self._client.get(self._prefixed("held", name))
        return found

    async def release(self, name: str) -> bool:
        """Delete."""
        with self._mapped():
            return bool(await self._client.delete(self._prefixed("held", name)))

    def _mapped(self) -> AbstractContextManager[None]:
        raise NotImplementedError

    def _prefixed(self, *parts: str) -> str:
        raise NotImplementedError
