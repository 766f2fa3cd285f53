"""The alerts' part of the store on Redis.

Keys, for each line: `alerts` (stream, trimmed: what was told), `board` (hash: each alert as it stands), `handling`
(hash: the newest deed of each kind for each alert, as long as it counts), `deeds` (stream, trimmed: who did what, when
and why). What cannot be read, as of a newer version, is left out: no line waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any, Final, TypeVar

import msgspec

from shared.alerts import Deed, Handling, StandingAlert, What
from shared.log import get_logger
from shared.store.base import Alert

MOST_DEEDS: Final = 500
"""So many are kept of a line as what counts: of more the oldest go, and those alerts are open again."""
T = TypeVar("T")
_PIECE: Final = 200
_ALERT: Final = msgspec.msgpack.Decoder(Alert)
_STANDING: Final = msgspec.msgpack.Decoder(StandingAlert)
_DEED: Final = msgspec.msgpack.Decoder(Deed)


class RedisAlerts:
    """What `RedisStore` does about alerts."""

    _client: Any
    _handle_alert: Any
    _stream_length: int
    _unreadable: set[str]

    async def alerts(self, line: str, *, newest: int) -> list[Alert]:
        """Return the newest alerts."""
        with self._mapped():
            entries = await self._client.xrevrange(self._key(line, "alerts"), count=newest)
        return self._readable(line, "alerts", _ALERT, (entry[b"alert"] for _, entry in entries))

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
                cursor, found = await self._client.hscan(self._key(line, "board"), cursor, count=_PIECE)
            standing |= {alert.key: alert for alert in self._readable(line, "board", _STANDING, found.values())}
            if not cursor:
                return standing
            await asyncio.sleep(0)

    async def handle_alert(self, line: str, deed: Deed) -> None:
        """Write deed and record in one step, which also drops what counts no more as it was read just before."""
        value, field = msgspec.msgpack.encode(deed), _field(deed)
        key = self._key(line, "handling")
        with self._mapped():
            before = await self._client.hgetall(key)
        dropped = _over(before, deed, field.encode())
        counts = deed.what is not What.SHELVED or deed.until_ns > deed.at_ns
        args: list[bytes | int | str] = [field, value, int(counts), self._stream_length]
        for name in dropped:
            args += [name, before[name]]
        with self._mapped():
            await self._handle_alert(keys=[key, self._key(line, "deeds")], args=args)

    async def alert_handling(self, line: str) -> Handling:
        """Return the newest deeds."""
        with self._mapped():
            found = await self._client.hgetall(self._key(line, "handling"))
        deeds = self._readable(line, "handling", _DEED, found.values())
        return Handling(
            acknowledged={deed.key: deed for deed in deeds if deed.what is What.ACKNOWLEDGED},
            shelved={deed.key: deed for deed in deeds if deed.what is What.SHELVED},
        )

    async def alert_deeds(self, line: str, *, newest: int) -> list[Deed]:
        """Return the newest deeds of all."""
        with self._mapped():
            entries = await self._client.xrevrange(self._key(line, "deeds"), count=newest)
        return self._readable(line, "deeds", _DEED, (entry[b"deed"] for _, entry in entries))

    def _readable(self, line: str, where: str, decoder: msgspec.msgpack.Decoder[T], values: Iterable[bytes]) -> list[T]:
        """Return what can be read; that something cannot is told once of each place."""
        found = []
        for value in values:
            try:
                found.append(decoder.decode(value))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                key = self._key(line, where)
                if key not in self._unreadable:
                    self._unreadable.add(key)
                    get_logger("store").warning("store.unreadable", line=line, where=where, error=str(error))
        return found

    async def _append(self, client: Any, line: str, stream: str, entry: dict[str, bytes]) -> None:  # noqa: ANN401 - see RedisStore
        await client.xadd(self._key(line, stream), entry, maxlen=self._stream_length, approximate=True)

    def _mapped(self) -> AbstractContextManager[None]:
        raise NotImplementedError

    def _key(self, line: str, *parts: str) -> str:
        raise NotImplementedError


def _field(deed: Deed) -> str:
    return f"{deed.what.value}:{deed.key}"


def _over(before: dict[bytes, bytes], new: Deed, field: bytes) -> list[bytes]:
    """Return the fields that count no more now that `new` is done: shelves whose time is over, and the oldest of many.

    What cannot be read goes first.
    """
    over, done_ns = [], {}
    for name, value in before.items():
        if name == field:
            continue
        try:
            deed = _DEED.decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            done_ns[name] = 0
            continue
        if deed.what is What.SHELVED and deed.until_ns <= new.at_ns:
            over.append(name)
        else:
            done_ns[name] = deed.at_ns
    oldest = sorted(done_ns, key=lambda name: done_ns[name])
    return over + oldest[: max(0, len(oldest) + 1 - MOST_DEEDS)]
