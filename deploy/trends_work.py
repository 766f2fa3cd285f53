"""The work behind `linewarden trends`: which ledger or store a line's parts are read from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from alerting.trends.reading import Read, read_journal, read_shift, read_topic
from deploy.adapters import make_bus, make_store
from deploy.collecting import uncollected
from deploy.policy_tools import line_of
from shared.clock import NS_PER_S, Clock, SystemClock
from shared.errors import ConfigError
from shared.plan_keeper import PlanKeeper
from shared.settings import Settings, load

_UNITS_S: Final = {"m": 60, "h": 3_600, "d": 86_400}


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


def seconds_of(text: str) -> int:
    """Return a length of time; ConfigError for what is none."""
    found = re.fullmatch(r"(\d{1,6})([mhd])", text)
    if found is None:
        raise ConfigError(f"--since {text!r} is no length of time", "Write 90m, 8h or 7d.")
    return int(found[1]) * _UNITS_S[found[2]]


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
    if settings.bus.embedded:
        if settings.alerting.journal is None:
            raise ConfigError(
                "the bus memory:// ends with its process, and alerting.journal is not set",
                "Set alerting.journal, or use kafka://.",
            )
        return read_journal(settings.alerting.journal, name, since_ns=since_ns)
    bus, store = make_bus(settings, SystemClock()), make_store(settings)
    try:
        plan = await PlanKeeper(store, settings.topics).read()
        if name not in plan.lines:
            raise ConfigError(f"line {name!r} never ran on this bus", "Correct bus.url and bus.topic_prefix.")
        return await read_topic(bus, settings.topics, plan, name, since_ns=since_ns)
    finally:
        await bus.close()
        await store.close()
