"""The work behind `linewarden trends`: which ledger or store a line's parts are read from."""

from __future__ import annotations

import asyncio
from pathlib import Path

from alerting.trends.reading import MOST, Read, read_journal, read_shift, read_topic, seconds_of
from deploy.adapters import make_bus, make_store
from deploy.collecting import uncollected
from deploy.policy_tools import line_of
from shared.bus.base import Bus
from shared.clock import NS_PER_S, Clock, SystemClock
from shared.errors import ConfigError
from shared.plan_keeper import PlanKeeper
from shared.settings import Settings, load
from shared.store.base import Store


async def parts_read(config: Path, line: str, since: str | None, clock: Clock | None = None) -> Read:
    """Return the parts of the current shift from the store, or those of the last `since` (90m, 8h, 7d) from a ledger.

    ConfigError where nothing keeps them.
    """
    settings = load(config)
    clock = clock or SystemClock()
    with uncollected():
        if since is None:
            return await _shift(settings, line, clock)
        return await _since(settings, line, clock.utc_ns() - seconds_of(since) * NS_PER_S)


async def _shift(settings: Settings, line: str, clock: Clock) -> Read:
    found = line_of(settings, line)
    if settings.store.embedded:
        raise ConfigError(
            "the store memory:// lives in the process that runs the line",
            "Use redis:// for the shift, or --since with alerting.journal.",
        )
    store = make_store(settings)
    try:
        return await read_shift(store, found, clock.utc_ns())
    finally:
        await store.close()


async def _since(settings: Settings, line: str, since_ns: int) -> Read:
    name = line_of(settings, line).name
    if not has_ledger(settings):
        raise ConfigError(
            "the bus memory:// ends with its process, and alerting.journal is not set",
            "Set alerting.journal, or use kafka://.",
        )
    bus, store = make_bus(settings, SystemClock()), make_store(settings)
    try:
        return await LedgerHistory(settings, bus, store).read(name, since_ns=since_ns)
    finally:
        await bus.close()
        await store.close()


def has_ledger(settings: Settings) -> bool:
    """Return whether the settings name a ledger that can be read back."""
    return not settings.bus.embedded or settings.alerting.journal is not None


class LedgerHistory:
    """Decided parts of the ledger: of the journal with an embedded bus, else of the `decisions` topic."""

    def __init__(self, settings: Settings, bus: Bus, store: Store) -> None:
        self._settings = settings
        self._bus = bus
        self._store = store

    async def read(self, line: str, *, since_ns: int, most: int = MOST) -> Read:
        """Return a line's newest `most` parts since an instant; a journal is read in a thread."""
        journal = self._settings.alerting.journal
        if self._settings.bus.embedded and journal is not None:
            return await asyncio.to_thread(read_journal, journal, line, since_ns=since_ns, most=most)
        plan = await PlanKeeper(self._store, self._settings.topics).read()
        if line not in plan.lines:
            raise ConfigError(f"line {line!r} never ran on this bus", "Correct bus.url and bus.topic_prefix.")
        return await read_topic(self._bus, self._settings.topics, plan, line, since_ns=since_ns, most=most)
