"""The work behind `linewarden alerts`: the store's board, and what operators do about it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from deploy.adapters import make_store
from shared.alerts import KINDS, AlertState, Deed, StandingAlert, What, state_of
from shared.clock import NS_PER_S, SystemClock
from shared.errors import ConfigError
from shared.settings import Settings, load
from shared.store.base import Store


@dataclass(frozen=True, slots=True)
class Row:
    """An alert with what was done about it."""

    alert: StandingAlert
    state: AlertState
    deed: Deed | None

    def to_json(self) -> dict[str, Any]:
        """Return it under stable names."""
        deed = None if self.deed is None else asdict(self.deed)
        return {**asdict(self.alert), "key": self.alert.key, "state": self.state, "deed": deed}


async def standing(config: Path) -> list[Row]:
    """Return all alerts of all lines, the most severe first, then the newest."""
    rows = []
    now_ns = SystemClock().utc_ns()
    async with _store(config) as (settings, store):
        for line in settings.lines:
            handling = await store.alert_handling(line.name)
            for key, alert in (await store.standing_alerts(line.name)).items():
                state = state_of(alert, handling, now_ns)
                deeds = {AlertState.ACKNOWLEDGED: handling.acknowledged, AlertState.SHELVED: handling.shelved}
                rows.append(Row(alert, state, deeds.get(state, {}).get(key)))
    return sorted(rows, key=lambda row: (-row.alert.severity.rank, -row.alert.last_ns))


async def acknowledge(config: Path, line: str, key: str, *, who: str, reason: str) -> StandingAlert:
    """Take an alert on that stands; `ConfigError` for one that does not."""
    async with _store(config) as (settings, store):
        _check_line(settings, line)
        found = {name: alert for name, alert in (await store.standing_alerts(line)).items() if not alert.cleared_ns}
        alert = found.get(key)
        if alert is None:
            known = ", ".join(sorted(found)) or "none"
            raise ConfigError(f"alert {key!r} does not stand on line {line!r}", f"What stands: {known}.")
        deed = Deed(What.ACKNOWLEDGED, key, who, reason, SystemClock().utc_ns(), first_ns=alert.first_ns)
        await store.handle_alert(line, deed)
    return alert


async def shelve(config: Path, line: str, key: str, *, who: str, reason: str, duration_s: int) -> None:
    """Shelve an alert, or end that with a duration of 0; `ConfigError` for a kind that is not known."""
    async with _store(config) as (settings, store):
        _check_line(settings, line)
        kind = key.partition("/")[0]
        if kind not in KINDS and key not in await store.standing_alerts(line):
            raise ConfigError(f"{kind!r} is no kind of alert", f"Known: {', '.join(sorted(KINDS))}.")
        now_ns = SystemClock().utc_ns()
        deed = Deed(What.SHELVED, key, who, reason, now_ns, until_ns=now_ns + duration_s * NS_PER_S)
        await store.handle_alert(line, deed)


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
