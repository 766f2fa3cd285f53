"""The command line's measurements of the console: `linewarden bench console` and `console-day`."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deploy.cli_options import UNSOUND, JsonOut, Seed, check_writable, set_log_level, write_json
from deploy.model_making import needs_extra
from shared.errors import ConfigError

OwnStore = Annotated[str | None, typer.Option(help="Your own redis://HOST:PORT/DB instead of a server for the while.")]


def bench_console_pages(
    lines: Annotated[int, typer.Option(help="How many lines.", min=1, max=64)] = 8,
    rate: Annotated[float, typer.Option(help="Parts a second on each.", min=0.1, max=100)] = 10.0,
    browsers: Annotated[int, typer.Option(help="How many browsers look on.", min=1, max=50)] = 10,
    seconds: Annotated[float, typer.Option(help="How long each of the three runs takes.", min=5)] = 60.0,
    store: OwnStore = None,
    seed: Seed = 0,
    json_out: JsonOut = None,
) -> None:
    """Measure from a decision to the screen, and what looking on does to the gates; exits with 1 where it is too much.

    Needs Chromium and the extra `dev`.
    """
    with needs_extra("dev"):
        from deploy.console_bench import bench_console
    from deploy.alerting_load import Load

    set_log_level("error")
    check_writable(json_out)
    chromium = _chromium()
    load = Load(lines, round(lines * rate * seconds), seconds, seed)
    with _redis(store) as url:
        figures = asyncio.run(bench_console(load, browsers=browsers, store=url, chromium=chromium))
    Console().print(figures.table())
    write_json(json_out, figures.to_json())
    if not figures.sound:
        raise typer.Exit(UNSOUND)


def bench_console_day(
    lines: Annotated[int, typer.Option(help="How many lines.", min=1, max=64)] = 8,
    parts: Annotated[int, typer.Option(help="Parts an hour on each.", min=50, max=36_000)] = 1_800,
    store: OwnStore = None,
    json_out: JsonOut = None,
) -> None:
    """Show a day's parts to a browser as fast as they come, and measure memory; exits with 1 where it grows.

    Needs Chromium and the extra `dev`.
    """
    with needs_extra("dev"):
        from deploy.console_day import HOURS, bench_day
    from deploy.alerting_load import Load
    from deploy.model_making import progress_bar

    set_log_level("error")
    check_writable(json_out)
    chromium = _chromium()
    load = Load(lines, lines * parts * HOURS, HOURS * 3_600.0)
    console = Console()
    with _redis(store) as url, progress_bar(console) as progress:
        task = progress.add_task("hours", total=HOURS)
        day = bench_day(load, store=url, chromium=chromium, on_hour=lambda hour: progress.update(task, completed=hour))
        figures = asyncio.run(day)
    console.print(figures.table())
    write_json(json_out, figures.to_json())
    if not figures.sound:
        raise typer.Exit(UNSOUND)


def _chromium() -> Path:
    found = shutil.which("chromium")
    if found is None:
        raise ConfigError("the program chromium is missing", "Install the Debian package chromium.")
    return Path(found)


@contextmanager
def _redis(store: str | None) -> Iterator[str]:
    """Yield the address of somebody's own Redis, or of one that runs meanwhile."""
    from deploy.servers.redis import RedisServer

    if store is not None:
        yield store
        return
    with tempfile.TemporaryDirectory(prefix="linewarden-redis-") as folder, RedisServer(Path(folder)) as server:
        yield server.url
