"""The command line's measurement of the alerting service: `linewarden bench alerting`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from deploy.cli_options import UNSOUND, JsonOut, Seed, check_writable, set_log_level, write_json


def bench_alerting_process(
    lines: Annotated[int, typer.Option(help="How many lines one process serves.", min=1, max=64)] = 8,
    parts: Annotated[int, typer.Option(help="How many parts they see in the simulated time.", min=1)] = 100_000,
    seconds: Annotated[float, typer.Option(help="How long that is.", min=1)] = 3_600.0,
    paced: Annotated[float, typer.Option(help="How many seconds the same rate runs on the real clock.", min=1)] = 30.0,
    store: Annotated[str, typer.Option(help="`memory://`, or redis://HOST:PORT/DB for real time alone.")] = "memory://",
    seed: Seed = 0,
    json_out: JsonOut = None,
) -> None:
    """Measure what an alerting process costs, and how soon it signals; exits with 1 where one core is not enough."""
    from deploy.alerting_bench import bench_alerting
    from deploy.alerting_load import Load

    set_log_level("error")
    check_writable(json_out)
    figures = bench_alerting(Load(lines, parts, seconds, seed), store=store, paced_s=paced)
    Console().print(figures.table())
    write_json(json_out, figures.to_json())
    if not figures.sound:
        raise typer.Exit(UNSOUND)
