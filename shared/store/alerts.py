"""The alerts' part of the store on Redis.

Keys, for each line: `alerts` (stream, trimmed: what was told), `board` (hash: each alert as it stands), `handling`
(hash: the newest deed of each kind for each alert), `deeds` (stream, trimmed: who did what, when and why).
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Final

import msgspec

from shared.alerts import Deed, Handling, StandingAlert, What
from shared.store.base import Alert

_ALERT: Final = msgspec.msgpack.Decoder(Alert)
_STANDING: Final = msgspec.msgpack.Decoder(StandingAlert)
_DEED: Final = msgspec.msgpack.Decoder(Deed)


class RedisAlerts:
    """What `RedisStore` does about alerts."""

    _client: Any
    _stream_length: int

    async def alerts(self, line: str, *, newest: int) -> list[Alert]:
        """Return the newest alerts."""
        with self._mapped():
            entries = await self._client.xrevrange(self._key(line, "alerts"), count=newest)
        return [_ALERT.decode(entry[b"alert"]) for _, entry in entries]

    async def put_alert(self, standing: StandingAlert, *, told: Alert | None) -> None:
        """Write both in one transaction."""
        with self._mapped():
            async with self._client.pipeline(transaction=True) as step:
                step.hset(self._key(standing.line, "board"), standing.key, msgspec.msgpack.encode(standing))
                if told is not None:
                    await self._append(step, told.line, "alerts", {"alert": msgspec.msgpack.encode(told)})
                await step.execute()

    async def standing_alerts(self, line: str) -> dict[str, StandingAlert]:
        """Return the board."""
        with self._mapped():
            found = await self._client.hgetall(self._key(line, "board"))
        return {key.decode(): _STANDING.decode(value) for key, value in found.items()}

    async def handle_alert(self, line: str, deed: Deed) -> None:
        """Write deed and record in one transaction."""
        value = msgspec.msgpack.encode(deed)
        with self._mapped():
            async with self._client.pipeline(transaction=True) as step:
                step.hset(self._key(line, "handling"), f"{deed.what.value}:{deed.key}", value)
                await self._append(step, line, "deeds", {"deed": value})
                await step.execute()

    async def alert_handling(self, line: str) -> Handling:
        """Return the newest deeds."""
        with self._mapped():
            found = await self._client.hgetall(self._key(line, "handling"))
        deeds = [_DEED.decode(value) for value in found.values()]
        return Handling(
            acknowledged={deed.key: deed for deed in deeds if deed.what is What.ACKNOWLEDGED},
            shelved={deed.key: deed for deed in deeds if deed.what is What.SHELVED},
        )

    async def alert_deeds(self, line: str, *, newest: int) -> list[Deed]:
        """Return the newest deeds of all."""
        with self._mapped():
            entries = await self._client.xrevrange(self._key(line, "deeds"), count=newest)
        return [_DEED.decode(entry[b"deed"]) for _, entry in entries]

    async def _append(self, client: Any, line: str, stream: str, entry: dict[str, bytes]) -> None:  # noqa: ANN401 - see RedisStore
        await client.xadd(self._key(line, stream), entry, maxlen=self._stream_length, approximate=True)

    def _mapped(self) -> AbstractContextManager[None]:
        raise NotImplementedError

    def _key(self, line: str, *parts: str) -> str:
        raise NotImplementedError
