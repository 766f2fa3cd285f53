"""The console's pages beside a demo: served as long as it runs, with a one-time link that signs in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from rich.console import Console

from alerting.console.rights import ALL_LINES, Role
from alerting.console.service import ConsoleService
from deploy.adapters import Adapters
from deploy.roles.console import BesideGates, context_for
from deploy.servers.ports import can_listen
from shared.console_settings import ConsoleSettings
from shared.settings import Settings

GUEST: Final = "demo"
_LINK_S: Final = 86_400


def demo_console(port: int | None) -> dict[str, object]:
    """Return the settings of a demo's pages: on `port`, or on the usual one, or on any where that is taken."""
    usual = ConsoleSettings().port
    return {"port": port if port is not None else (usual if can_listen(usual) else 0)}


@asynccontextmanager
async def demo_pages(settings: Settings, adapters: Adapters, console: Console) -> AsyncIterator[None]:
    """Serve the pages while the block runs, and print where they are.

    The link works once and signs in a guest who may do all but change users, and who has no password. Nobody else does:
    there is no admin, of whose password one would have to read.
    """
    context = context_for(settings, adapters)
    service, stop = ConsoleService(context, makes_admin=False), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(BesideGates(service).run(stop))
        started = tasks.create_task(service.started.wait())
        await asyncio.wait({serving, started}, return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():
            await context.desk.add_guest(GUEST, {ALL_LINES: Role.ENGINEER}, why="a demo's one-time link")
            key = await context.sessions.sign_in_link(GUEST, ttl_s=_LINK_S)
            console.print(f"See it live: {service.url}/link?key={key} (good for one browser)", soft_wrap=True)
        try:
            yield
        finally:
            stop.set()
            started.cancel()
