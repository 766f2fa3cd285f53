"""The command line's measurements of speed: `linewarden bench model|pipeline|compare|payloads`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Protocol

import typer
from rich.console import Console
from rich.table import Table

from deploy.chart import Drawable, check_picture, draw
from deploy.cli_options import UNSOUND, JsonOut, PictureOut, check_writable, set_log_level, write_json
from shared.wire import Encoding

Width = Annotated[int, typer.Option(help="How wide pictures are, in pixels.", min=120, max=8_192)]
Height = Annotated[int, typer.Option(help="How high.", min=120, max=8_192)]
Threads = Annotated[int, typer.Option(help="The engine's threads.", min=1, max=256)]


def bench_model_speed(
    model: Annotated[
        str, typer.Option(help="A model's folder, or lite or vit-b-16, which are trained for it.")
    ] = "lite",
    engine: Annotated[list[str] | None, typer.Option(help="Some of its engines; all of them without.")] = None,
    rounds: Annotated[int, typer.Option(help="How many turns each engine has.", min=4)] = 200,
    encoding: Annotated[Encoding, typer.Option(help="How frames come: raw is without decoding.")] = Encoding.JPEG,
    threads: Threads = 2,
    width: Width = 640,
    height: Height = 480,
    json_out: JsonOut = None,
    picture_out: PictureOut = None,
) -> None:
    """Measure a model by itself on each of its engines: pictures a second, and what is around the encoder.

    The engines take turns, each in a process of its own; the reference is torch with the tower as open_clip builds it.
    Pictures a second are of each one's better way, one by one or in a stream of frames that wait. Exits with 1 where
    the parts of an inspection do not add up to it within 3 %, or a bound on its tower is missed.
    """
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
            encoding=encoding,
            on_progress=step_bars(progress),
        )
    _tell(figures, console, json_out, picture_out)


def bench_whole_pipeline(
    model: Annotated[str, typer.Option(help="A model's folder, or lite, which is trained for it.")] = "lite",
    seconds: Annotated[float, typer.Option(help="How long each turn takes.", min=0.2)] = 10.0,
    rounds: Annotated[int, typer.Option(help="How many turns each side has.", min=1)] = 5,
    fps: Annotated[float, typer.Option(help="The rate at which latency is measured.", min=1)] = 30.0,
    encoding: Annotated[
        Encoding | None, typer.Option(help="How frames travel; without it as by default: raw in memory, else as JPEG.")
    ] = None,
    kafka: Annotated[bool, typer.Option("--kafka/--no-kafka", help="Also on Kafka, with its broker beside it.")] = True,
    cores: Annotated[int, typer.Option(help="How many of the machine's cores everything has.", min=1)] = 2,
    threads: Threads = 2,
    width: Width = 640,
    height: Height = 480,
    json_out: JsonOut = None,
    picture_out: PictureOut = None,
) -> None:
    """Measure a whole line in one process against its bare engine, on the memory bus and on Kafka.

    The source never waits; both sides take turns on the same cores, and a profile says where the rest goes. Then the
    latency at a camera's rate, and the detector as a process of its own. Exits with 1 where a bound is missed.
    """
    import asyncio

    from deploy.model_making import needs_extra, progress_bar, step_bars

    with needs_extra("detector"), needs_extra("ingest"), needs_extra("alerting"):
        from deploy.speed.pipeline_bench import Plan, bench_pipeline
        from detector.model.lens import Size
    set_log_level("error")
    check_writable(json_out)
    check_picture(picture_out)
    plan = Plan(Size(height, width), encoding, threads, cores, seconds, rounds, fps, kafka)
    console = Console()
    with progress_bar(console) as progress:
        figures = asyncio.run(bench_pipeline(model, plan, step_bars(progress)))
    _tell(figures, console, json_out, picture_out)


def bench_beside_peers(
    peers: Annotated[
        Path, typer.Option(help="An interpreter that has anomalib: `make bench-compare` makes one.")
    ] = Path(".venv-anomalib/bin/python"),
    engine: Annotated[list[str] | None, typer.Option(help="Some of our engines; all of them without.")] = None,
    rounds: Annotated[int, typer.Option(help="How many turns of four pictures each has.", min=1)] = 40,
    cores: Annotated[int, typer.Option(help="How many of the machine's cores everything has.", min=1)] = 2,
    threads: Threads = 2,
    width: Width = 640,
    height: Height = 480,
    json_out: JsonOut = None,
    picture_out: PictureOut = None,
) -> None:
    """Measure our engines beside anomalib's inferencers on the same pictures, trunk, size and machine.

    One by one, and in a stream of pictures that wait; the better way of each side counts. Exits with 1 where our
    fastest engine inspects less than three times as many pictures as anomalib's fastest inferencer. How many times as
    many as several of those side by side is told, too.
    """
    from deploy.model_making import needs_extra, progress_bar, step_bars

    with needs_extra("detector"), needs_extra("ingest"):
        from deploy.speed.peer_bench import bench_peers
        from detector.model.lens import Size
    set_log_level("warning")
    check_writable(json_out)
    check_picture(picture_out)
    console = Console()
    with progress_bar(console) as progress:
        figures = bench_peers(
            peers,
            size=Size(height, width),
            threads=threads,
            cores=cores,
            rounds=rounds,
            engines=engine or (),
            on_progress=step_bars(progress),
        )
    _tell(figures, console, json_out, picture_out)


def bench_payload_ways(
    size: Annotated[
        list[int] | None, typer.Option(help="Bytes of a frame; may be given several times.", min=1, max=15_000_000)
    ] = None,
    rounds: Annotated[int, typer.Option(help="How many turns each way has.", min=1)] = 200,
    json_out: JsonOut = None,
    picture_out: PictureOut = None,
) -> None:
    """Measure how frames go from role to role on one machine: in messages, through Redis, and in shared memory."""
    import asyncio

    from deploy.model_making import needs_extra

    with needs_extra("detector"):
        from deploy.stream.handover import handover
    set_log_level("warning")
    check_writable(json_out)
    check_picture(picture_out)
    figures = asyncio.run(handover(sizes=tuple(size or (120_000, 921_600, 6_000_000)), rounds=rounds))
    Console().print(figures.table())
    write_json(json_out, figures.to_json())
    draw(figures, picture_out)


class _Figures(Drawable, Protocol):
    """What a benchmark of speed found."""

    @property
    def sound(self) -> bool: ...
    def tables(self) -> list[Table]: ...
    def to_json(self) -> dict[str, Any]: ...


def _tell(figures: _Figures, console: Console, json_out: Path | None, picture_out: Path | None) -> None:
    """Show, write and draw what was found; end with 1 where a bound was missed."""
    for table in figures.tables():
        console.print(table)
    write_json(json_out, figures.to_json())
    draw(figures, picture_out)
    if not figures.sound:
        raise typer.Exit(UNSOUND)
