"""`linewarden run` and `linewarden report`: settings in, services or figures out."""

from __future__ import annotations

import asyncio
from pathlib import Path

from deploy.adapters import adapters_for, make_store
from deploy.app import Role, build, run
from deploy.collecting import set_aside
from deploy.result import RunResult, result_of
from shared import log
from shared.clock import Clock, SystemClock
from shared.errors import ConfigError
from shared.lifecycle import stop_on_signals
from shared.metrics import served
from shared.settings import Settings, load


def run_role(config: Path, role: Role, clock: Clock | None = None) -> list[RunResult]:
    """Run to the end on `clock` or the host's, and return the figures of all lines where this process decides."""
    settings = load(config)
    log.configure(settings.log.level, json=settings.log.format == "json")
    if role is Role.CONSOLE and settings.store.embedded:
        raise ConfigError(
            "the store memory:// lives in the process that runs the line, and this console would see nothing of it",
            "Set store.url to redis://HOST:PORT/DB, or run all roles in one process with [console] in the settings.",
        )
    return asyncio.run(_run(settings, role, clock))


def report_lines(config: Path) -> list[RunResult]:
    """Return the figures of all lines as they stand, with those of their current shifts."""
    settings = load(config)
    if settings.store.embedded:
        raise ConfigError(
            "the store memory:// lives in the process that runs the line", "Read its table there, or use redis://."
        )
    return asyncio.run(_report(settings))


async def _run(settings: Settings, role: Role, clock: Clock | None) -> list[RunResult]:
    stop = asyncio.Event()
    # The console has no part in the stream: it starts, and tells what is away, whatever else does not answer.
    streams = role is not Role.CONSOLE
    async with adapters_for(settings, clock, streams=streams, patience_s=settings.start_within_s) as adapters:
        with stop_on_signals(stop):
            # A model loads for seconds: a page that answered before would call this replica ready.
            services = build(role, settings, adapters)
            set_aside()
            with served(settings.metrics):
                await run(services, settings, adapters, stop)
        if role in (Role.INGEST, Role.DETECTOR, Role.CONSOLE):
            return []
        return [await result_of(line, adapters.store) for line in settings.lines]


async def _report(settings: Settings) -> list[RunResult]:
    store = make_store(settings)
    now_ns = SystemClock().utc_ns()
    try:
        return [await result_of(line, store, shift_at_ns=now_ns) for line in settings.lines]
    finally:
        await store.close()
