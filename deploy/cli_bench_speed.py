"""The command line's measurements of speed: `linewarden bench model|pipeline|compare|payloads`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from deploy.cli_options import UNSOUND, JsonOut, PictureOut, check_writable, set_log_level, write_json

Width = Annotated[int, typer.Option(help="How wide pictures are, in pixels.", min=120, max=8_192)]
Height = Annotated[int, typer.Option(help="How high.", min=120, max=8_192)]
Threads = Annotated[int, typer.Option(help="The engine's threads.", min=1, max=256)]


def bench_model_speed(
    model: Annotated[
        str, typer.Option(help="A model's folder, or lite or vit-b-16, which are trained for it.")
    ] = "lite",
    engine: Annotated[list[str] | None, typer.Option(help="Some of its engines; all of them without.")] = None,
    rounds: Annotated[int, typer.Option(help="How many turns each engine has.", min=4)] = 200,
    threads: Threads = 2,
    width: Width = 640,
    height: Height = 480,
    json_out: JsonOut = None,
    picture_out: PictureOut = None,
) -> None:
    """Measure a model by itself on each of its engines: pictures a second, and what is around the encoder.

    The engines take turns. Exits with 1 where the parts of an inspection do not add up to it within 3 %, or a bound on
    its tower is missed.
    """
    from deploy.chart import check_picture, draw
    from deploy.model_making import needs_extra, progress_bar, step_bars

    with needs_extra("detector"), needs_extra("ingest"):
        from deploy.speed.model_bench import bench_model
        from detector.model.lens import Size
    set_log_level("warning")
    check_writable(json_out)
    check_picture(picture_out)
    console = Console()
    with progress_bar(console) as progress:
        figures = bench_model(
            model,
            size=Size(height, width),
            threads=threads,
            rounds=rounds,
            engines=engine or (),
            on_progress=step_bars(progress),
        )
    for table in figures.tables():
        console.print(table)
    write_json(json_out, figures.to_json())
    draw(figures, picture_out)
    if not figures.sound:
        raise typer.Exit(UNSOUND)
