"""The demo: train a model, run a whole line on it, and hold the ledger against the simulated PLC's own count."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from alerting.plc_sim.server import PlcServer
from alerting.plc_sim.simulator import GateSimulator
from deploy.adapters import Adapters, adapters_for
from deploy.app import Role, build, run
from deploy.model_making import progress_bar, render_dataset, train_model
from deploy.playback import play_folder
from deploy.result import RunResult, result_of
from ingest.sources.pictures import find_pictures
from ingest.sources.video import LIVE_SCHEMES
from shared.clock import NS_PER_S, SystemClock
from shared.domain import GateMode
from shared.errors import ConfigError
from shared.lifecycle import stop_on_signals
from shared.settings import from_dict

LINE: Final = "demo"
_TRAINING_PARTS: Final = 100
_RENDER_SEED: Final = 1_000_003
_WATCH_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What a demo shows. `source` is "rendered", a folder, a video file or an RTSP address."""

    source: str = "rendered"
    parts: int = 200
    rate_hz: float = 10.0
    bus: str = "memory://"
    store: str = "memory://"
    model: Path | None = None
    seed: int = 0
    gate: GateMode = GateMode.PASS_ASSERTED
    log_level: str = "warning"


def demo(options: DemoOptions, console: Console) -> RunResult:
    """Run the demo to its end and return its figures; Ctrl-C ends it early and in order."""
    with tempfile.TemporaryDirectory(prefix="linewarden-demo-") as scratch:
        model = options.model or _train(options, Path(scratch), console)
        with _camera(options) as camera:
            return asyncio.run(_run(options, camera, model, console))


def _train(options: DemoOptions, scratch: Path, console: Console) -> Path:
    out = scratch / "model"
    if options.source == "rendered":
        folder = scratch / "good-parts"
        console.print(f"Training the lite model on {_TRAINING_PARTS} rendered good parts.")
        # Another seed than the line's: none of these parts is ever inspected.
        seed = _RENDER_SEED + options.seed
        render_dataset(folder, good=_TRAINING_PARTS, test_good=0, test_each_defect=0, seed=seed, console=console)
    elif Path(options.source).is_dir():
        folder = Path(options.source)
        find_pictures(folder)
        console.print(f"Training the lite model on the good pictures of {folder.name}.")
    else:
        raise ConfigError(
            "a stream or a video file has no good pictures to train on", "Give a trained model with --model."
        )
    train_model(folder, profile="lite", seed=options.seed, out=out, overwrite=False, console=console)
    return out


@contextmanager
def _camera(options: DemoOptions) -> Iterator[dict[str, Any]]:
    """Yield the camera's settings; pictures go through a real RTSP server where the bus is real too."""
    paced = {"rate_hz": options.rate_hz, "limit": options.parts, "seed": options.seed}
    if options.bus != "memory://" and Path(options.source).is_dir():
        with play_folder(Path(options.source), parts=options.parts, rate_hz=options.rate_hz, seed=options.seed) as url:
            yield {**paced, "source": url, "slate": True}
    elif options.source.startswith(LIVE_SCHEMES):
        yield {"source": options.source, "limit": options.parts}
    else:
        yield {**paced, "source": options.source}


async def _run(options: DemoOptions, camera: dict[str, Any], model: Path, console: Console) -> RunResult:
    clock = SystemClock()
    async with _simulated_plc(options.gate, clock) as plc:
        run_id = f"demo-{clock.utc_ns() // NS_PER_S:x}"
        settings = from_dict(
            {
                "bus": {"url": options.bus, "topic_prefix": run_id},
                "store": {"url": options.store, "key_prefix": run_id},
                "log": {"level": options.log_level},
                "detector": {"model": model},
                "lines": [
                    {
                        "name": LINE,
                        "gate": options.gate,
                        "cameras": [camera],
                        "signal": {"url": plc.url, "photo_eye": True},
                    }
                ],
            }
        )
        async with adapters_for(settings, clock) as adapters:
            console.print(f"Inspecting {options.parts} parts at {options.rate_hz:g} a second, gate {options.gate}.")
            services = build(Role.ALL, settings, adapters)
            stop = asyncio.Event()
            with stop_on_signals(stop):
                watcher = asyncio.create_task(_watch(adapters, options.parts, console))
                try:
                    await run(services, settings, adapters, stop)
                finally:
                    watcher.cancel()
                    with suppress(asyncio.CancelledError):
                        await watcher
            (line,) = settings.lines
            return await result_of(line, adapters.store)


@asynccontextmanager
async def _simulated_plc(gate: GateMode, clock: SystemClock) -> AsyncIterator[PlcServer]:
    server = PlcServer(GateSimulator(gate, clock), clock=clock)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def _watch(adapters: Adapters, parts: int, console: Console) -> None:
    with progress_bar(console) as progress:
        bar = progress.add_task("parts", total=parts)
        try:
            while True:
                counters = await adapters.store.counters(LINE)
                progress.update(bar, completed=counters.settled)
                await adapters.clock.sleep(_WATCH_S)
        finally:
            counters = await adapters.store.counters(LINE)
            progress.update(bar, completed=counters.settled)
