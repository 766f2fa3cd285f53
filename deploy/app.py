"""The composition root: build the roles that a process runs, and run them to their end."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Sequence
from enum import StrEnum

from deploy.adapters import Adapters
from deploy.model_making import needs_extra
from shared.lifecycle import Service, serve
from shared.settings import Settings


class Role(StrEnum):
    """What a process does."""

    ALL = "all"
    INGEST = "ingest"
    DETECTOR = "detector"
    ALERTING = "alerting"
    CONSOLE = "console"


_SETTLE_S = 1.0
# In the order in which they stop.
_ORDER = (Role.INGEST, Role.DETECTOR, Role.ALERTING)


def build(role: Role, settings: Settings, adapters: Adapters) -> list[Service]:
    """Return the services of `role`, loading only the packages that it needs."""
    return [_build_one(one, settings, adapters, beside=one is not role) for one in roles_of(role, settings)]


def roles_of(role: Role, settings: Settings) -> list[Role]:
    """Return what a process of `role` does, in the order in which it stops: the console is the last to go."""
    roles = list(_ORDER if role is Role.ALL else (role,))
    console = settings.console
    if console is not None and (role is Role.ALL or (role is Role.ALERTING and console.beside_alerting)):
        roles.append(Role.CONSOLE)
    return roles


async def run(services: Sequence[Service], settings: Settings, adapters: Adapters, stop: asyncio.Event) -> None:
    """Serve until `stop`, or until the sources end; parts on their way then still get their decision."""
    last_part_s = max(line.gate_delay_ms for line in settings.lines) / 1_000 + _SETTLE_S
    await serve(services, stop, drain_s=max(settings.drain_s, last_part_s), clock=adapters.clock)


def _build_one(role: Role, settings: Settings, adapters: Adapters, *, beside: bool) -> Service:
    with needs_extra(role.value):
        module = importlib.import_module(f"deploy.roles.{role.value}")
    make = module.build_beside if beside and role is Role.CONSOLE else module.build
    service: Service = make(settings, adapters)
    return service
