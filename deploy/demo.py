"""The demo: train a model, run a whole line on it, and hold the ledger against the simulated PLC's own count."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from deploy.adapters import Adapters
from deploy.demo_pages import demo_console, demo_pages
from deploy.model_making import progress_bar, render_dataset, train_model
from deploy.playback import play_folder
from deploy.result import RunResult
from deploy.simulated_line import LINE, SimulatedLine, check_servers, run_line
from ingest.sources.pictures import find_pictures
from ingest.sources.video.rtsp import LIVE_SCHEMES
from shared.domain import GateMode
from shared.errors import ConfigError
from shared.redaction import redact_address

_TRAINING_PARTS: Final = 200
_WATCH_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What a demo shows. `source` is "rendered", a folder, a video file or an RTSP address.

    `console` serves the operators' pages beside it, on `console_port` or any port that is free; `keep_open` until
    Ctrl-C.
    """

    source: str = "rendered"
    parts: int = 200
    rate_hz: float = 10.0
    bus: str = "memory://"
    store: str = "memory://"
    model: Path | None = None
    seed: int = 0
    gate: GateMode = GateMode.PASS_ASSERTED
    reject_at: float = 2.0
    journal: Path | None = None
    console: bool = True
    console_port: int | None = None
    keep_open: bool = False


def demo(options: DemoOptions, console: Console) -> RunResult:
    """Run the demo to its end and return its figures; Ctrl-C ends it early and in order."""

    async def show_progress(adapters: Adapters) -> None:
        with progress_bar(console) as progress:
            bar = progress.add_task("parts", total=options.parts)
            try:
                while True:
                    settled = (await adapters.store.counters(LINE)).settled
                    progress.update(bar, completed=settled)
                    if settled >= options.parts:
                        break
                    await adapters.clock.sleep(_WATCH_S)
            finally:
                progress.update(bar, completed=(await adapters.store.counters(LINE)).settled)

    check_source(options.source)
    check_servers(options.bus, options.store)
    with _camera(options) as camera, model_for(options.source, options.model, options.seed, console) as model:
        console.print(f"Inspecting {options.parts} parts at {options.rate_hz:g} a second, gate {options.gate}.")
        line = SimulatedLine(
            "demo",
            camera,
            model,
            bus=options.bus,
            store=options.store,
            gate=options.gate,
            reject_at=options.reject_at,
            journal=options.journal,
            console=demo_console(options.console_port) if options.console else None,
            stays_open=options.keep_open,
        )
        if not options.console:
            return run_line(line, show_progress)
        return run_line(line, show_progress, lambda settings, adapters: demo_pages(settings, adapters, console))


def check_source(source: str) -> None:
    """Refuse a source that cannot be one, before anything is trained for it."""
    if source == "rendered" or source.startswith(LIVE_SCHEMES):
        return
    path = Path(source)
    if not source.strip() or not path.exists():
        raise ConfigError(
            f"source {redact_address(source)!r} does not exist", "Give rendered, a folder, a video file or rtsp://."
        )
    if path.is_dir():
        find_pictures(path)


@contextmanager
def model_for(source: str, model: Path | None, seed: int, console: Console) -> Iterator[Path]:
    """Yield `model`, or one trained on the good parts of `source`, which is gone afterwards."""
    if model is not None:
        yield model
        return
    with tempfile.TemporaryDirectory(prefix="linewarden-model-") as scratch:
        folder = Path(source)
        if source == "rendered":
            folder = Path(scratch) / "good-parts"
            console.print(f"Training the lite model on {_TRAINING_PARTS} rendered good parts.")
            render_dataset(
                folder,
                good=_TRAINING_PARTS,
                test_good=0,
                test_each_defect=0,
                # The same station as the line's, other parts: the renderer numbers data sets apart from belts.
                seed=seed,
                console=console,
            )
        elif folder.is_dir():
            console.print(f"Training the lite model on the good pictures of {folder.name}.")
        else:
            raise ConfigError(
                "a stream or a video file has no good pictures to train on", "Give a trained model with --model."
            )
        out = Path(scratch) / "model"
        train_model([folder], profile="lite", seed=seed, out=out, overwrite=False, console=console)
        yield out


@contextmanager
def _camera(options: DemoOptions) -> Iterator[dict[str, Any]]:
    """Yield the camera's settings; pictures go through a real RTSP server where the bus is real too."""
    paced = {"rate_hz": options.rate_hz, "limit": options.parts, "seed": options.seed}
    folder = Path(options.source)
    if options.bus != "memory://" and folder.is_dir():
        with play_folder(folder, parts=options.parts, rate_hz=options.rate_hz, seed=options.seed) as url:
            yield {**paced, "source": url, "slate": True}
    else:
        yield {**paced, "source": options.source}
