"""The command line's cameras: `linewarden cameras list|check|preview|calibrate`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.cli_options import UNSOUND, check_writable, set_log_level
from shared.camera_settings import CameraSettings
from shared.errors import LinewardenError
from shared.redaction import redact_address

cameras = typer.Typer(help="Which cameras are there, what they send, and what is wrong with it.", no_args_is_help=True)

Address = Annotated[
    str | None, typer.Argument(help="rtsp://..., gige://SERIAL, a file, a folder, a recording, or `rendered`.")
]
Config = Annotated[Path | None, typer.Option("--config", help="The line's settings, a TOML file.")]
CameraName = Annotated[str | None, typer.Option("--camera", help="Its name in the settings, or LINE/NAME.")]


@cameras.command("list")
def list_cameras(config: Config = None) -> None:
    """List the cameras of the settings, and GigE Vision cameras that answer on this host's networks."""
    from deploy.cameras.target import cameras_of

    console = Console()
    if config is not None:
        table = Table(title="In the settings", title_justify="left", show_edge=False)
        for heading in ("line", "camera", "source"):
            table.add_column(heading)
        for line, camera in cameras_of(config):
            table.add_row(line.name, camera.name, Text(redact_address(camera.source.get_secret_value())))
        console.print(table)
    console.print(_discovered())


@cameras.command("check")
def check_camera(
    address: Address = None,
    config: Config = None,
    camera: CameraName = None,
    seconds: Annotated[float, typer.Option(help="How long to watch it.", min=0.5, max=3_600)] = 5.0,
) -> None:
    """Watch a camera for some seconds and say what is wrong with it; exits with 1 if something is."""
    from deploy.cameras.diagnosis import problems, verdict
    from deploy.cameras.observing import observe
    from deploy.cameras.target import chosen
    from shared.clock import SystemClock

    set_log_level("error")
    _, settings = chosen(address, config, camera)
    found = asyncio.run(observe(settings, SystemClock(), seconds=seconds))
    console = Console()
    table = Table(show_header=False, show_edge=False)
    table.add_row("source", _named(settings))
    table.add_row("pictures", f"{found.pictures} in {found.seconds:.1f} s")
    for name, count in (*found.sizes.items(), *found.faults.items(), *found.counts.items()):
        table.add_row(name, str(count))
    console.print(table)
    wrong = problems(settings, found)
    for sentence in wrong or [verdict(settings, found)]:
        console.print(sentence, markup=False, soft_wrap=True)
    if wrong:
        raise typer.Exit(UNSOUND)


@cameras.command("preview")
def preview_camera(
    address: Address = None,
    config: Config = None,
    camera: CameraName = None,
    out: Annotated[Path | None, typer.Option(help="Write the picture to this file, .png or .jpg.")] = None,
    prepared: Annotated[
        bool, typer.Option("--prepared", help="As it is sent: cropped, turned, masked as the settings say.")
    ] = False,
    step: Annotated[bool, typer.Option("--step", help="Go on to the next picture at each Enter.")] = False,
) -> None:
    """Show a camera's picture in the terminal, or write it to a file."""
    from deploy.cameras.preview import preview
    from deploy.cameras.target import chosen

    set_log_level("error")
    _, settings = chosen(address, config, camera)
    asyncio.run(preview(settings, Console(), out=out, prepared=prepared, step=step))


@cameras.command("calibrate")
def calibrate_camera(
    address: Address = None,
    config: Config = None,
    camera: CameraName = None,
    out: Annotated[Path, typer.Option(help="Where to write the limits.")] = Path("limits.json"),
    pictures: Annotated[int, typer.Option(help="From how many good pictures to learn.", min=10, max=10_000)] = 50,
    seconds: Annotated[float, typer.Option(help="How long to wait for them.", min=1, max=3_600)] = 60.0,
) -> None:
    """Learn from good pictures what the camera's pictures look like: what does not is not inspected, and not passed.

    Let good parts pass while it learns. Name the file as `limits` of the camera in the settings.
    """
    from deploy.cameras.calibrating import calibrate
    from deploy.cameras.target import chosen
    from ingest.quality.limits import write_limits

    set_log_level("error")
    _, settings = chosen(address, config, camera)
    new = not out.exists()
    check_writable(out)
    try:
        limits = asyncio.run(calibrate(settings, pictures=pictures, seconds=seconds))
        write_limits(limits, out)
    except LinewardenError:
        if new:
            out.unlink(missing_ok=True)
        raise
    moved = "not checked: too little stands still in them" if limits.moved_below is None else "checked"
    Console().print(
        f"Limits from {limits.pictures} pictures of {limits.width_px}x{limits.height_px} written to {out}: brightness"
        f" {limits.brightness_from:.0f} to {limits.brightness_to:.0f}; whether the camera was moved is {moved}.\n"
        f'Set limits = "{out}" in [[lines.cameras]].',
        markup=False,
        soft_wrap=True,
    )


def _named(camera: CameraSettings) -> Text:
    # As it is: brackets in an address are no markup.
    return Text(redact_address(camera.source.get_secret_value()))


def _discovered() -> Table | str:
    from ingest.sources.gige.discovery import discover

    found = discover()
    if not found:
        return "No GigE Vision camera answers on this host's networks."
    table = Table(title="GigE Vision", title_justify="left", show_edge=False)
    for heading in ("source", "vendor", "model", "serial", "address", "user name"):
        table.add_column(heading)
    for one in found:
        said = (f"gige://{one.serial}", one.vendor, one.model, one.serial, one.address, one.user_name)
        table.add_row(*map(Text, said))
    return table
