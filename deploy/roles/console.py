"""Build the operators' console."""

from __future__ import annotations

import asyncio

from alerting.console.context import Context, make_context
from alerting.console.service import ConsoleService
from deploy.adapters import Adapters
from deploy.trends_work import LedgerHistory, has_ledger
from shared.log import get_logger
from shared.settings import Settings


class BesideGates:
    """A console in one process with gates: whatever befalls it, they go on."""

    name = "console"

    def __init__(self, service: ConsoleService) -> None:
        self._service = service

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set, or until it fails, which is told."""
        try:
            await self._service.run(stop)
        except Exception as error:  # noqa: BLE001 - nobody's pages are worth a gate
            told = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
            get_logger("console").error("console.failed", error=str(told), remedy="the lines go on without their pages")


def build(settings: Settings, adapters: Adapters) -> ConsoleService:
    """Return the service; it reads the store, and writes what operators do."""
    return ConsoleService(context_for(settings, adapters))


def context_for(settings: Settings, adapters: Adapters) -> Context:
    """Return what a console works with: trends reach back as far as there is a ledger to read."""
    ledger = LedgerHistory(settings, adapters.bus, adapters.store) if has_ledger(settings) else None
    return make_context(settings, store=adapters.store, clock=adapters.clock, history=ledger)


def build_beside(settings: Settings, adapters: Adapters) -> BesideGates:
    """Return the service for a process that has gates, too."""
    return BesideGates(build(settings, adapters))
