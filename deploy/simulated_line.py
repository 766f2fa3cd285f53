"""A whole line in this process: all roles, against a simulated PLC over real Modbus TCP."""

from __future__ import annotations

import asyncio
import sys
import termios
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from alerting.plc_sim.server import PlcServer
from alerting.plc_sim.simulator import GateSimulator
from deploy.adapters import Adapters, adapters_for, make_bus, make_store
from deploy.app import Role, build, run
from deploy.result import RunResult, result_of
from shared.clock import NS_PER_S, Clock, SystemClock
from shared.domain import GateMode
from shared.lifecycle import stop_on_signals
from shared.settings import Settings, from_dict

LINE: Final = "line-1"
Watch = Callable[[Adapters], Awaitable[None]]
Around = Callable[[Settings, Adapters], AbstractAsyncContextManager[None]]
"""What is there while a line runs, such as pages that show it."""
_PICTURES_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class SimulatedLine:
    """What runs: `camera` holds the camera's settings, and `prefix` keeps runs on a shared bus and store apart.

    `console` holds the settings of pages around it, if there are any. With `stays_open` the run ends by Ctrl-C alone,
    or by Enter where somebody sits before it.
    """

    prefix: str
    camera: dict[str, Any]
    model: Path
    bus: str = "memory://"
    store: str = "memory://"
    gate: GateMode = GateMode.PASS_ASSERTED
    reject_at: float = 2.0
    journal: Path | None = None
    console: dict[str, object] | None = None
    stays_open: bool = False


def run_line(line: SimulatedLine, watch: Watch, around: Around = lambda _, __: nullcontext()) -> RunResult:
    """Run to the end of the source, or to Ctrl-C, with `watch` beside it; return the figures."""
    return asyncio.run(_run(line, watch, around))


def check_servers(bus: str, store: str) -> None:
    """Return if both answer; raises like `adapters_for`. No topic is created."""
    asyncio.run(_check(from_dict({"bus": {"url": bus}, "store": {"url": store}})))


async def _check(settings: Settings) -> None:
    bus, kept = make_bus(settings, SystemClock()), make_store(settings)
    try:
        await bus.ensure_topics({})
        await kept.ping()
    finally:
        await bus.close()
        await kept.close()


@asynccontextmanager
async def simulated_plc(gate: GateMode, clock: Clock) -> AsyncIterator[PlcServer]:
    """Serve a simulated PLC on a free port of the loopback address."""
    server = PlcServer(GateSimulator(gate, clock), clock=clock)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def _run(line: SimulatedLine, watch: Watch, around: Around) -> RunResult:
    clock = SystemClock()
    async with simulated_plc(line.gate, clock) as plc:
        run_id = f"{line.prefix}-{clock.utc_ns() // NS_PER_S:x}"
        settings = from_dict(
            {
                "bus": {"url": line.bus, "topic_prefix": run_id},
                "store": {"url": line.store, "key_prefix": run_id, **_kept_for(line)},
                "detector": {"model": line.model},
                "alerting": {"journal": line.journal},
                "console": line.console,
                "lines": [
                    {
                        "name": LINE,
                        "gate": line.gate,
                        "reject_at": line.reject_at,
                        "cameras": [line.camera],
                        "signal": {"url": plc.url, "photo_eye": True},
                    }
                ],
            }
        )
        async with adapters_for(settings, clock) as adapters:
            # Pages stay while the line ends, and for as long afterwards as they are wanted.
            services = build(Role.ALL, settings.model_copy(update={"console": None}), adapters)
            stop = asyncio.Event()
            with stop_on_signals(stop):
                async with around(settings, adapters):
                    watcher = asyncio.ensure_future(watch(adapters))
                    try:
                        await run(services, settings, adapters, stop)
                    finally:
                        watcher.cancel()
                        with suppress(asyncio.CancelledError):
                            await watcher
                    if line.stays_open:
                        await _wait_for_somebody(stop)
            (settled,) = settings.lines
            return await result_of(settled, adapters.store)


async def _wait_for_somebody(stop: asyncio.Event) -> None:
    """Return when the run is stopped, or at Enter."""
    if not sys.stdin.isatty():
        await stop.wait()
        return
    sys.stdout.write("All parts are through. The pages stay until you press Enter.\n")
    sys.stdout.flush()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), stop.set)
    try:
        await stop.wait()
    finally:
        loop.remove_reader(sys.stdin.fileno())
        # What was typed is for nobody else.
        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


def _kept_for(line: SimulatedLine) -> dict[str, int]:
    """Return how long parts are kept for pages: the embedded store forgets after a minute otherwise."""
    if line.console is None:
        return {}
    return {"picture_ttl_s": _PICTURES_S, "part_retention_s": _PICTURES_S}
