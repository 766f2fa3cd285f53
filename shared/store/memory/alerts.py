"""The alerts' part of the embedded store. What cannot be read, as of a newer version, is left out."""

from __future__ import annotations

import asyncio

import msgspec

from shared.alerts import Deed, Handling, StandingAlert
from shared.store import deeds
from shared.store.base import Alert, Feed
from shared.store.memory.core import MemoryCore
from shared.store.memory.data import MemoryData
from shared.store.reading import ALERT, PIECE, STANDING, Teller
from shared.store.settings import StoreSettings


class MemoryAlerts(MemoryCore):
    """What `MemoryStore` does about alerts."""

    def __init__(self, settings: StoreSettings, data: MemoryData) -> None:
        """Serve `data`."""
        super().__init__(settings, data)
        self._teller = Teller()

    async def alerts(self, line: str, *, newest: int) -> list[Alert]:
        """Return the newest alerts."""
        found = self._line(line).feeds[Feed.ALERTS].newest(newest)
        return self._teller.readable(line, "alerts", ALERT, found)

    async def put_alert(self, standing: StandingAlert, *, told: Alert | None) -> None:
        """Write both."""
        self._line(standing.line).board[standing.key] = msgspec.msgpack.encode(standing)
        if told is not None:
            self._append(self._line(told.line).feeds[Feed.ALERTS], msgspec.msgpack.encode(told))

    async def standing_alerts(self, line: str) -> dict[str, StandingAlert]:
        """Return the board, read piece by piece: what shares the event loop has its turn in between."""
        values = list(self._line(line).board.values())
        standing: dict[str, StandingAlert] = {}
        for start in range(0, len(values), PIECE):
            found = self._teller.readable(line, "board", STANDING, values[start : start + PIECE])
            standing |= {alert.key: alert for alert in found}
            if start + PIECE < len(values):
                await asyncio.sleep(0)
        return standing

    async def handle_alert(self, line: str, deed: Deed) -> None:
        """Write deed and record, and drop what counts no more."""
        record, name, value = self._line(line), deeds.name_of(deed), msgspec.msgpack.encode(deed)
        for gone in deeds.over(record.handling, deed, name):
            del record.handling[gone]
        if deeds.counts(deed):
            record.handling[name] = value
        else:
            record.handling.pop(name, None)
        self._append(record.deeds, value)

    async def alert_handling(self, line: str) -> Handling:
        """Return the newest deeds."""
        found = self._line(line).handling.values()
        return deeds.handling_of(self._teller.readable(line, "handling", deeds.DEED, found))

    async def alert_deeds(self, line: str, *, newest: int) -> list[Deed]:
        """Return the newest deeds of all."""
        return self._teller.readable(line, "deeds", deeds.DEED, self._line(line).deeds.newest(newest))
