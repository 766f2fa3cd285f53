"""Start a campaign's roles, and wait until its lines run as they should."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from deploy.faults.system import System
from shared.clock import NS_PER_S, Clock
from shared.errors import ServerError, StoreError
from shared.settings import Settings
from shared.store.base import Store

_START_S: Final = 90.0
_CALM_S: Final = 5.0
_WATCH_S: Final = 0.25


async def start_all(system: System, store: Store, clock: Clock) -> None:
    """Start the roles, and wait until each line's parts have been looked at for a while without a default.

    Raises `ServerError` with what the roles wrote where that takes too long, or one of them ends.
    """
    for names in reversed(system.roles.values()):
        for name in names:
            system.start(name)
    began_ns = calm_ns = clock.monotonic_ns()
    known: list[int] | None = None
    while (now_ns := clock.monotonic_ns()) - calm_ns < _CALM_S * NS_PER_S:
        defaults = await _defaults_where_all_look(system.settings, store)
        if defaults is None or defaults != known:
            known, calm_ns = defaults, now_ns
        if system.ended() or now_ns - began_ns > _START_S * NS_PER_S:
            tails = {name: process.log_tail()[-500:] for name, process in system.processes.items()}
            raise ServerError(f"The system did not start within {_START_S:g} s: {tails}", "See what its roles say.")
        await clock.sleep(_WATCH_S)


async def _defaults_where_all_look(settings: Settings, store: Store) -> list[int] | None:
    """Return each line's defaults, or None while there is a line none of whose parts was looked at."""
    with suppress(StoreError):
        counters = [await store.counters(line.name) for line in settings.lines]
        if all(line.passed + line.rejected for line in counters):
            return [line.defaulted for line in counters]
    return None
