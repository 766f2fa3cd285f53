"""The command line's measurements of cameras and their pictures: `linewarden bench gige|rtsp|encoding`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deploy.cli_options import UNSOUND, JsonOut, check_writable, set_log_level, write_json


def bench_rtsp_cameras(
    seconds: Annotated[float, typer.Option(help="How long each latency is measured.", min=2)] = 30.0,
    rounds: Annotated[int, typer.Option(help="How often each fault is tried.", min=1)] = 3,
    json_out: JsonOut = None,
) -> None:
    """Measure RTSP cameras against real servers: latency, faults, 16 at once, a frozen one among them."""
    import asyncio

    from deploy.model_making import needs_extra

    with needs_extra("ingest"):
        from deploy.rtsp_bench import bench_rtsp
    set_log_level("error")
    check_writable(json_out)
    console = Console()
    figures = asyncio.run(bench_rtsp(seconds=seconds, rounds=rounds, on_step=console.print))
    for table in figures.tables():
        console.print(table)
    write_json(json_out, figures.to_json())
    for bound in figures.missed():
        console.print(f"missed: {bound}")
    if figures.missed():
        raise typer.Exit(UNSOUND)


def bench_gige_camera(
    minutes: Annotated[float, typer.Option(help="How long the free run takes.", min=0.05)] = 10.0,
    triggers: Annotated[int, typer.Option(help="How many software triggers.", min=1)] = 1_000,
    kills: Annotated[int, typer.Option(help="How often the camera is killed.", min=1)] = 20,
    json_out: JsonOut = None,
) -> None:
    """Measure the GigE Vision adapter against Aravis' software camera: no lost frame, no false picture, no leak."""
    import asyncio

    from deploy.model_making import needs_extra

    with needs_extra("gige"):
        from deploy.gige_bench import bench_gige
    set_log_level("warning")
    check_writable(json_out)
    figures = asyncio.run(bench_gige(minutes=minutes, triggers=triggers, kills=kills))
    Console().print(figures.table())
    write_json(json_out, figures.to_json())
    if not figures.sound:
        raise typer.Exit(UNSOUND)


def bench_encodings(
    folders: Annotated[list[Path], typer.Argument(help="Sets of pictures with test and ground_truth.")],
    profile: Annotated[str, typer.Option(help="Which tower, at which size.")] = "lite",
    model: Annotated[Path | None, typer.Option(help="A trained model; without one each set has its own.")] = None,
    seeds: Annotated[int, typer.Option(help="How often a model is trained, each time anew.", min=1)] = 1,
    reject_at: Annotated[float, typer.Option(help="The calibrated score that would reject.", min=0, max=12)] = 2.0,
    json_out: JsonOut = None,
) -> None:
    """Measure a model on test pictures as they arrive raw, as PNG and as JPEG of several qualities."""
    from deploy.model_making import needs_extra, progress_bar, step_bars

    with needs_extra("detector"), needs_extra("ingest"):
        from deploy.encoding_bench import bench_encoding
    check_writable(json_out)
    console = Console()
    with progress_bar(console) as progress:
        figures = bench_encoding(
            folders, profile=profile, model=model, seeds=seeds, reject_at=reject_at, on_progress=step_bars(progress)
        )
    console.print(figures.table())
    write_json(json_out, figures.to_json())
