"""Trends at the console: the shift from the store, longer from the ledger where this console can read it.

One reading runs at a time, off the event loop where it is long, and is good for some seconds: however many ask for it,
a line is read as often as if one did.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final, Protocol

from alerting.trends.reading import Read, read_shift, seconds_of
from alerting.trends.report import Trends, trends_of
from shared.clock import NS_PER_S, Clock
from shared.errors import ConfigError
from shared.settings import LineSettings
from shared.store.base import Store

LONGEST_S: Final = 31 * 86_400
MOST_PARTS: Final = 300_000
"""Of more parts of a ledger the newest are looked at: about 150 MB while it is read."""
_FRESH_NS: Final = 5 * NS_PER_S
_MOST_HELD: Final = 32


class History(Protocol):
    """Where decided parts are read from that the store holds no more."""

    async def read(self, line: str, *, since_ns: int, most: int) -> Read:
        """Return a line's newest `most` parts since an instant; ConfigError or BusError where they cannot be read."""
        ...


@dataclass(frozen=True, slots=True)
class Report:
    """Trends of a line, what they are of, and when they were read (UTC ns)."""

    line: str
    since: str
    read_ns: int
    read: Read
    trends: Trends

    def to_json(self) -> dict[str, Any]:
        """Return it under stable names."""
        read = self.read
        shift = None if read.counters is None else {"name": read.shift, "settled": read.counters.settled}
        return {
            "line": self.line,
            "since": self.since,
            "read_at_ns": self.read_ns,
            "source": read.source,
            "whole": read.whole,
            "shift": shift,
            **self.trends.to_json(),
        }


class TrendsDesk:
    """Reads and looks at decided parts. Raises StoreError, and ConfigError for what cannot be read."""

    def __init__(self, store: Store, clock: Clock, history: History | None) -> None:
        self._store = store
        self._clock = clock
        self._history = history
        self._held: dict[tuple[str, str], tuple[int, Report]] = {}
        self._reading = asyncio.Lock()

    @property
    def reaches_back(self) -> bool:
        """Return whether more than the shift can be read."""
        return self._history is not None

    async def report(self, line: LineSettings, since: str = "") -> Report:
        """Return the trends of the shift, or of the last `since` (90m, 8h, 7d)."""
        if since and seconds_of(since) > LONGEST_S:
            raise ConfigError(
                f"since {since!r} is too long", "Up to 31d are read here, and more by `linewarden trends`."
            )
        async with self._reading:
            now_ns = self._clock.monotonic_ns()
            self._held = {key: one for key, one in self._held.items() if now_ns - one[0] <= _FRESH_NS}
            held = self._held.get((line.name, since))
            if held is not None:
                return held[1]
            read = await self._read(line, since)
            found = await asyncio.to_thread(trends_of, read.parts)
            report = Report(line.name, since, self._clock.utc_ns(), read, found)
            if len(self._held) < _MOST_HELD:
                self._held[line.name, since] = (self._clock.monotonic_ns(), report)
            return report

    async def _read(self, line: LineSettings, since: str) -> Read:
        now_ns = self._clock.utc_ns()
        if not since:
            return await read_shift(self._store, line, now_ns)
        if self._history is None:
            raise ConfigError(
                "this console reads the current shift alone: it has no ledger",
                "Give it alerting.journal or a kafka:// bus in its settings.",
            )
        since_ns = now_ns - seconds_of(since) * NS_PER_S
        return await self._history.read(line.name, since_ns=since_ns, most=MOST_PARTS)
