"""What the console's pages and API work with."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from alerting.console.audit import Audit
from alerting.console.desk import AccountDesk
from alerting.console.hub import Hub
from alerting.console.login_guard import LoginGuard
from alerting.console.passwords import Passwords
from alerting.console.sessions import SessionDesk
from alerting.console.trends_desk import History, TrendsDesk
from shared.clock import Clock
from shared.console_settings import ConsoleSettings
from shared.settings import LineSettings, Settings
from shared.store.base import Store


@dataclass(frozen=True, slots=True)
class Context:
    """One console's parts. `previewing` lets one preview run at a time: each takes a core for a moment."""

    settings: Settings
    console: ConsoleSettings
    store: Store
    clock: Clock
    hub: Hub
    audit: Audit
    passwords: Passwords
    desk: AccountDesk
    sessions: SessionDesk
    guard: LoginGuard
    trends: TrendsDesk
    previewing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))

    def line(self, name: str) -> LineSettings | None:
        """Return a line's settings, where there is one of this name."""
        return next((line for line in self.settings.lines if line.name == name), None)


def make_context(settings: Settings, *, store: Store, clock: Clock, history: History | None = None) -> Context:
    """Put a console's parts together; `history` is where trends of more than a shift are read from."""
    console = settings.console or ConsoleSettings()
    audit, passwords = Audit(store), Passwords()
    desk = AccountDesk(store, clock, passwords, audit, one_time_h=console.one_time_h)
    return Context(
        settings,
        console,
        store,
        clock,
        Hub(settings.lines, store, clock, history=console.history),
        audit,
        passwords,
        desk,
        SessionDesk(store, clock, desk, console),
        LoginGuard(),
        TrendsDesk(store, clock, history),
    )
