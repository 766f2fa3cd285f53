"""`linewarden dev up`: the servers around a line, on loopback, until Ctrl-C."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from deploy.line_config import LineConfig
from deploy.playback import play_folder
from deploy.servers.kafka import KafkaServer
from deploy.servers.redis import RedisServer
from deploy.simulated_line import simulated_plc
from shared import log
from shared.clock import NS_PER_S, SystemClock
from shared.domain import GateMode
from shared.lifecycle import stop_on_signals


@dataclass(frozen=True, slots=True)
class DevOptions:
    """What to start; `bus` and `store` are the user's own servers, which are then not started."""

    config: Path
    source: str
    parts: int
    rate_hz: float
    model: Path
    bus: str | None
    store: str | None


def up(options: DevOptions, console: Console) -> None:
    """Start what is missing, write the settings file, and stay until Ctrl-C; everything started here ends here."""
    log.configure("info", json=False)
    with ExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="linewarden-dev-")))
        bus, store = options.bus, options.store
        if bus is None:
            console.print("Starting Kafka ...")
            bus = stack.enter_context(KafkaServer(data / "kafka")).url
        if store is None:
            console.print("Starting Redis ...")
            store = stack.enter_context(RedisServer(data / "redis")).url
        source, slate = options.source, False
        if Path(source).is_dir():
            console.print("Starting the RTSP camera ...")
            playing = play_folder(Path(source), parts=options.parts, rate_hz=options.rate_hz)
            source, slate = stack.enter_context(playing), True
        asyncio.run(_serve(options, bus=bus, store=store, source=source, slate=slate, console=console))


async def _serve(options: DevOptions, *, bus: str, store: str, source: str, slate: bool, console: Console) -> None:
    clock = SystemClock()
    async with simulated_plc(GateMode.PASS_ASSERTED, clock) as plc:
        LineConfig(
            bus=bus,
            store=store,
            plc=plc.url,
            run=f"dev-{clock.utc_ns() // NS_PER_S:x}",
            model=options.model,
            source=source,
            rate_hz=options.rate_hz,
            limit=options.parts,
            slate=slate,
        ).write(options.config)
        console.print(f"All servers run; their addresses are in {options.config}. Ctrl-C ends them. Now, elsewhere:")
        for role in ("alerting", "detector", "ingest"):
            console.print(f"  linewarden run --config {options.config} --role {role}")
        stop = asyncio.Event()
        with stop_on_signals(stop):
            await stop.wait()
