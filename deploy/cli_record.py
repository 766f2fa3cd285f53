"""The command line's recorder: `linewarden record`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deploy.cli_options import UNSOUND


def record_camera(
    config: Annotated[Path, typer.Option("--config", help="The line's settings, a TOML file.")],
    out: Annotated[Path, typer.Option(help="The recording, a new .mcap file.")],
    line: Annotated[str | None, typer.Option(help="Which line, where the settings have several.")] = None,
    camera: Annotated[str | None, typer.Option(help="Which camera, where there are several.")] = None,
    seconds: Annotated[float | None, typer.Option(help="End after so long.", min=0.001)] = None,
    frames: Annotated[int | None, typer.Option(help="End after so many exposures.", min=1)] = None,
) -> None:
    """Record a camera, whatever its source is, without a line around it; play the file as any camera's `source`.

    It ends with the source, at Ctrl-C, or where it is told to. Whatever ends it, what was recorded until a second
    before is playable. Exits with 1 when exposures are missing, since the disk was full or too slow.
    """
    from deploy.model_making import needs_extra

    with needs_extra("ingest"):
        from deploy.recording import RecordOptions, record
    from shared.clock import SystemClock

    recorded = record(
        RecordOptions(config=config, out=out, line=line, camera=camera, seconds=seconds, frames=frames),
        SystemClock(),
    )
    console = Console()
    for text in recorded.lines():
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    if not recorded.complete:
        raise typer.Exit(UNSOUND)
