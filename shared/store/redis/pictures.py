"""The pictures' part of the store on Redis: each has a time to live, and those of a line a room to share."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from shared.store.settings import StoreSettings


class RedisPictures:
    """What `RedisStore` does about pictures of rejects."""

    _client: Any
    _put_picture: Any
    _settings: StoreSettings

    async def put_picture(self, line: str, part_id: str, camera: str, jpeg: bytes) -> None:
        """Keep the picture, and let the line's oldest go where it needs their room, in one step."""
        keys = [self._key(line, name) for name in ("pictures", "picture_bytes", "counters")]
        args: list[bytes | int | str] = [
            self._key(line, ""),
            f"picture:{part_id}:{camera}",
            jpeg,
            self._settings.picture_ttl_s,
            self._settings.picture_bytes,
        ]
        with self._mapped():
            await self._put_picture(keys=keys, args=args)

    async def picture(self, line: str, part_id: str, camera: str) -> bytes | None:
        """Return the picture, or None once it expired or had to go."""
        with self._mapped():
            found: bytes | None = await self._client.get(self._key(line, "picture", part_id, camera))
        return found

    def _mapped(self) -> AbstractContextManager[None]:
        raise NotImplementedError

    def _key(self, line: str, *parts: str) -> str:
        raise NotImplementedError
