"""What operators see of the alerts on the store's board, and what they do about them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

from shared.alerts import KINDS, AlertState, Deed, Handling, StandingAlert, What, state_of
from shared.clock import NS_PER_S
from shared.errors import ConfigError
from shared.store.base import Store

LONGEST_SHELF_S: Final = 24 * 3_600


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


def rows_of(standing: Iterable[StandingAlert], handling: Handling, now_ns: int) -> list[Row]:
    """Return one line's alerts with where each of them stands."""
    deeds = {AlertState.ACKNOWLEDGED: handling.acknowledged, AlertState.SHELVED: handling.shelved}
    rows = []
    for alert in standing:
        state = state_of(alert, handling, now_ns)
        rows.append(Row(alert, state, deeds.get(state, {}).get(alert.key)))
    return rows


async def acknowledge(store: Store, line: str, key: str, *, who: str, reason: str, at_ns: int) -> StandingAlert:
    """Take an alert on that stands; `ConfigError` for one that does not."""
    found = {name: alert for name, alert in (await store.standing_alerts(line)).items() if not alert.cleared_ns}
    alert = found.get(key)
    if alert is None:
        known = ", ".join(sorted(found)) or "none"
        raise ConfigError(f"alert {key!r} does not stand on line {line!r}", f"What stands: {known}.")
    await store.handle_alert(line, Deed(What.ACKNOWLEDGED, key, who, reason, at_ns, first_ns=alert.first_ns))
    return alert


async def shelve(
    store: Store,
    line: str,
    key: str,
    *,
    cameras: Collection[str],
    who: str,
    reason: str,
    at_ns: int,
    duration_s: int,
) -> None:
    """Shelve an alert, or end that with a duration of 0; `ConfigError` for one that cannot come.

    That is one that never stood, and whose kind is not known, or whose subject is none of the line's `cameras`.
    """
    kind, _, subject = key.partition("/")
    can_come = kind in KINDS and key in {kind, *(f"{kind}/{camera}" for camera in cameras)}
    if not can_come and key not in await store.standing_alerts(line) and not await _ends(store, line, key, duration_s):
        if kind not in KINDS:
            raise ConfigError(f"{kind!r} is no kind of alert", f"Known: {', '.join(sorted(KINDS))}.")
        known = ", ".join(sorted(cameras)) or "none"
        raise ConfigError(f"{subject!r} is no camera of line {line!r}, and {key!r} never stood", f"Cameras: {known}.")
    until_ns = at_ns + duration_s * NS_PER_S
    await store.handle_alert(line, Deed(What.SHELVED, key, who, reason, at_ns, until_ns=until_ns))


async def _ends(store: Store, line: str, key: str, duration_s: int) -> bool:
    """Return whether this ends a shelf, such as one of a camera that is gone since."""
    return not duration_s and key in (await store.alert_handling(line)).shelved
