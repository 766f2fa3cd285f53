"""The command line's measurement of a standby: `linewarden bench takeover`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deploy.cli_options import UNSOUND, JsonOut, check_writable, set_log_level, write_json


def bench_takeovers(
    rounds: Annotated[int, typer.Option(help="How often the signalling process is lost in each way.", min=1)] = 10,
    model: Annotated[Path | None, typer.Option(help="A trained model; without one it trains its own.")] = None,
    parts_per_s: Annotated[float, typer.Option(help="Parts a second, over both lines.", min=0.5, max=100)] = 9.0,
    json_out: JsonOut = None,
) -> None:
    """Measure how long a line has no gate when its alerting process is killed or frozen and another takes over.

    Starts two lines with Kafka, Redis, two detectors and two alerting processes on loopback; exits with 1 where a line
    was not taken over within one and a half leases.
    """
    from deploy.demo import model_for
    from deploy.faults.takeover import bench_takeover

    set_log_level("warning")
    check_writable(json_out)
    console = Console()
    with model_for("rendered", model, 0, console) as trained:
        figures = asyncio.run(bench_takeover(trained.absolute(), rounds=rounds, parts_per_s=parts_per_s))
    console.print(figures.table())
    write_json(json_out, figures.to_json())
    if not figures.sound:
        raise typer.Exit(UNSOUND)
