"""Build the operators' console."""

from __future__ import annotations

from alerting.console.context import make_context
from alerting.console.service import ConsoleService
from deploy.adapters import Adapters
from shared.settings import Settings


def build(settings: Settings, adapters: Adapters) -> ConsoleService:
    """Return the service; it reads the store, and writes what operators do."""
    return ConsoleService(make_context(settings, store=adapters.store, clock=adapters.clock))
