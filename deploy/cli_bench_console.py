"""The command line's measurement of the console: `linewarden bench console`."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deploy.cli_options import UNSOUND, JsonOut, Seed, check_writable, set_log_level, write_json
from deploy.model_making import needs_extra
from shared.errors import ConfigError


def bench_console_pages(
    lines: Annotated[int, typer.Option(help="How many lines.", min=1, max=64)] = 8,
    rate: Annotated[float, typer.Option(help="Parts a second on each.", min=0.1, max=100)] = 10.0,
    browsers: Annotated[int, typer.Option(help="How many browsers look on.", min=1, max=50)] = 10,
    seconds: Annotated[float, typer.Option(help="How long each of the three runs takes.", min=5)] = 60.0,
    store: Annotated[
        str | None, typer.Option(help="Your own redis://HOST:PORT/DB instead of a server for the while.")
    ] = None,
    seed: Seed = 0,
    json_out: JsonOut = None,
) -> None:
    """Measure from a decision to the screen, and what looking on does to the gates; exits with 1 where it is too much.

    Needs Chromium and the extra `dev`.
    """
    with needs_extra("dev"):
        from deploy.console_bench import bench_console
    from deploy.alerting_load import Load
    from deploy.servers.redis import RedisServer

    set_log_level("error")
    check_writable(json_out)
    chromium = shutil.which("chromium")
    if chromium is None:
        raise ConfigError("the program chromium is missing", "Install the Debian package chromium.")
    load = Load(lines, round(lines * rate * seconds), seconds, seed)
    if store is not None:
        figures = asyncio.run(bench_console(load, browsers=browsers, store=store, chromium=Path(chromium)))
    else:
        with tempfile.TemporaryDirectory(prefix="linewarden-redis-") as folder, RedisServer(Path(folder)) as server:
            figures = asyncio.run(bench_console(load, browsers=browsers, store=server.url, chromium=Path(chromium)))
    Console().print(figures.table())
    write_json(json_out, figures.to_json())
    if not figures.sound:
        raise typer.Exit(UNSOUND)
