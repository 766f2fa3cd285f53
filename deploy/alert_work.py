"""The work behind `linewarden alerts`: open the store, and do it there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from alerting.alerts import handling
from alerting.alerts.handling import Row
from deploy.adapters import make_store
from shared.alerts import StandingAlert
from shared.clock import SystemClock
from shared.errors import ConfigError
from shared.settings import Settings, load
from shared.store.base import Store


async def standing(config: Path) -> list[Row]:
    """Return all alerts of all lines, the most severe first, then the newest."""
    rows: list[Row] = []
    now_ns = SystemClock().utc_ns()
    async with _store(config) as (settings, store):
        for line in settings.lines:
            deeds = await store.alert_handling(line.name)
            rows += handling.rows_of((await store.standing_alerts(line.name)).values(), deeds, now_ns)
    return sorted(rows, key=lambda row: (-row.alert.severity.rank, -row.alert.last_ns))


async def acknowledge(config: Path, line: str, key: str, *, who: str, reason: str) -> StandingAlert:
    """Take an alert on that stands; `ConfigError` for one that does not."""
    async with _store(config) as (settings, store):
        _check_line(settings, line)
        return await handling.acknowledge(store, line, key, who=who, reason=reason, at_ns=SystemClock().utc_ns())


async def shelve(config: Path, line: str, key: str, *, who: str, reason: str, duration_s: int) -> None:
    """Shelve an alert, or end that with a duration of 0; `ConfigError` for a kind that is not known."""
    async with _store(config) as (settings, store):
        _check_line(settings, line)
        cameras = [camera.name for one in settings.lines if one.name == line for camera in one.cameras]
        now_ns = SystemClock().utc_ns()
        await handling.shelve(
            store, line, key, cameras=cameras, who=who, reason=reason, at_ns=now_ns, duration_s=duration_s
        )


def _check_line(settings: Settings, line: str) -> None:
    known = [one.name for one in settings.lines]
    if line not in known:
        raise ConfigError(f"line {line!r} is not in the settings", f"Known: {', '.join(known)}.")


@asynccontextmanager
async def _store(config: Path) -> AsyncIterator[tuple[Settings, Store]]:
    settings = load(config)
    if settings.store.embedded:
        raise ConfigError("the store memory:// lives in the process that runs the line", "Use redis:// for alerts.")
    store = make_store(settings)
    try:
        yield settings, store
    finally:
        await store.close()
