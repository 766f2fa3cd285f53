"""The command line's recorder: `linewarden record`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deploy.cli_cameras import Address, CameraName, Config
from deploy.cli_options import UNSOUND, set_log_level


def record_camera(
    out: Annotated[Path, typer.Option(help="The recording, a new .mcap file.")],
    address: Address = None,
    config: Config = None,
    camera: CameraName = None,
    seconds: Annotated[float | None, typer.Option(help="End after so long.", min=0.001)] = None,
    frames: Annotated[int | None, typer.Option(help="End after so many exposures.", min=1)] = None,
) -> None:
    """Record a camera, whatever its source is, without a line around it; play the file as any camera's `source`.

    It ends with the source, at Ctrl-C, or where it is told to. Whatever ends it, what was recorded until a second
    before is playable. Exits with 1 when exposures are missing, since the disk was full or too slow.
    """
    from deploy.model_making import needs_extra

    with needs_extra("ingest"):
        from deploy.cameras.target import chosen
        from deploy.recording import RecordOptions, record
    from shared.clock import SystemClock

    set_log_level("info")
    line, settings = chosen(address, config, camera)
    recorded = record(line, settings, RecordOptions(out, seconds=seconds, frames=frames), SystemClock())
    console = Console()
    for text in recorded.lines():
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    if not recorded.complete:
        raise typer.Exit(UNSOUND)
