"""The alerts' part of the store on Redis.

Keys, for each line: `alerts` (stream, trimmed: what was told), `board` (hash: each alert as it stands), `handling`
(hash: the newest deed of each kind for each alert, as long as it counts), `deeds` (stream, trimmed: who did what, when
and why). What cannot be read, as of a newer version, is left out: no line waits for it.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from typing import Any

import msgspec

from shared.alerts import Deed, Handling, StandingAlert
from shared.store import deeds
from shared.store.base import Alert
from shared.store.reading import ALERT, PIECE, STANDING, Teller
from shared.store.settings import StoreSettings


class RedisAlerts:
    """What `RedisStore` does about alerts."""

    _client: Any
    _handle_alert: Any
    _settings: StoreSettings
    _teller: Teller

    async def alerts(self, line: str, *, newest: int) -> list[Alert]:
        """Return the newest alerts."""
        with self._mapped():
            entries = await self._client.xrevrange(self._key(line, "alerts"), count=newest)
        return self._teller.readable(line, "alerts", ALERT, (entry[b"alert"] for _, entry in entries))

    async def put_alert(self, standing: StandingAlert, *, told: Alert | None) -> None:
        """Write both in one transaction."""
        with self._mapped():
            async with self._client.pipeline(transaction=True) as step:
                step.hset(self._key(standing.line, "board"), standing.key, msgspec.msgpack.encode(standing))
                if told is not None:
                    await self._append(step, told.line, "alerts", {"alert": msgspec.msgpack.encode(told)})
                await step.execute()

    async def standing_alerts(self, line: str) -> dict[str, StandingAlert]:
        """Return the board, read piece by piece: what shares the event loop has its turn in between."""
        standing: dict[str, StandingAlert] = {}
        cursor = 0
        while True:
            with self._mapped():
                cursor, found = await self._client.hscan(self._key(line, "board"), cursor, count=PIECE)
            standing |= {alert.key: alert for alert in self._teller.readable(line, "board", STANDING, found.values())}
            if not cursor:
                return standing
            await asyncio.sleep(0)

    async def handle_alert(self, line: str, deed: Deed) -> None:
        """Write deed and record in one step, which also drops what counts no more as it was read just before."""
        value, field = msgspec.msgpack.encode(deed), deeds.name_of(deed)
        key = self._key(line, "handling")
        with self._mapped():
            before = await self._client.hgetall(key)
        dropped = deeds.over(before, deed, field.encode())
        args: list[bytes | int | str] = [field, value, int(deeds.counts(deed)), self._settings.stream_length]
        for name in dropped:
            args += [name, before[name]]
        with self._mapped():
            await self._handle_alert(keys=[key, self._key(line, "deeds")], args=args)

    async def alert_handling(self, line: str) -> Handling:
        """Return the newest deeds."""
        with self._mapped():
            found = await self._client.hgetall(self._key(line, "handling"))
        return deeds.handling_of(self._teller.readable(line, "handling", deeds.DEED, found.values()))

    async def alert_deeds(self, line: str, *, newest: int) -> list[Deed]:
        """Return the newest deeds of all."""
        with self._mapped():
            entries = await self._client.xrevrange(self._key(line, "deeds"), count=newest)
        return self._teller.readable(line, "deeds", deeds.DEED, (entry[b"deed"] for _, entry in entries))

    async def _append(self, client: Any, line: str, stream: str, entry: dict[str, bytes]) -> None:  # noqa: ANN401 - see RedisStore
        await client.xadd(self._key(line, stream), entry, maxlen=self._settings.stream_length, approximate=True)

    def _mapped(self) -> AbstractContextManager[None]:
        raise NotImplementedError

    def _key(self, line: str, *parts: str) -> str:
        raise NotImplementedError
