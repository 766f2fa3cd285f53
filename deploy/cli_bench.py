"""The command line's benchmarks: `linewarden bench ...`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deploy.chart import check_picture, draw
from deploy.cli_options import UNSOUND, JsonOut, PictureOut, Product, Seed, check_writable, set_log_level, write_json
from shared.domain import Effort

bench = typer.Typer(help="Measure: each benchmark prints its figures and how they were taken.", no_args_is_help=True)

_FEW = (1, 2, 4, 8, 16)
_MOST_PICTURES = 32


@bench.command("soak")
def bench_soak(
    minutes: Annotated[float, typer.Option(help="How long.", min=0.1)] = 30.0,
    fps: Annotated[float, typer.Option(help="Parts a second.", min=0.1)] = 15.0,
    model: Annotated[Path | None, typer.Option(help="A trained model; without one it trains its own.")] = None,
    json_out: JsonOut = None,
    picture_out: PictureOut = None,
) -> None:
    """Run all roles in one process for long: memory, defaults and latency over time."""
    from deploy.soak import soak

    set_log_level("warning")
    check_writable(json_out)
    check_picture(picture_out)
    console = Console()
    outcome = soak(minutes=minutes, fps=fps, model=model, console=console)
    console.print(outcome.table())
    write_json(json_out, outcome.to_json())
    draw(outcome, picture_out)
    if not outcome.sound:
        raise typer.Exit(UNSOUND)


@bench.command("crops")
def bench_crop_refinement(
    good: Annotated[int, typer.Option(help="Good frames to train on.", min=12)] = 60,
    each: Annotated[int, typer.Option(help="Good frames to test on, and as many with a scratch.", min=5)] = 40,
    scratch_px: Annotated[int, typer.Option(help="How long a scratch is.", min=3, max=200)] = 12,
    seed: Seed = 0,
    json_out: JsonOut = None,
) -> None:
    """Compare `lite` with `lite-crop` on rendered frames of 1280x1024 with scratches of a few pixels."""
    from deploy.model_making import needs_extra, progress_bar, step_bars

    with needs_extra("detector"):
        from deploy.crop_bench import bench_crops
    check_writable(json_out)
    console = Console()
    with progress_bar(console) as progress:
        figures = bench_crops(good=good, each=each, scratch_px=scratch_px, seed=seed, on_progress=step_bars(progress))
    console.print(figures.table())
    write_json(json_out, figures.to_json())


@bench.command("ablation")
def bench_ablation(
    folders: Annotated[list[Path], typer.Argument(help="Sets of pictures with test and ground_truth.")],
    unified: Annotated[bool, typer.Option("--unified", help="One model for all sets, instead of one a set.")] = False,
    seeds: Annotated[int, typer.Option(help="How often everything is trained, each time anew.", min=1)] = 3,
    json_out: JsonOut = None,
) -> None:
    """Measure what prompt, bank and refiner bring and cost, alone and together, on one and the same training."""
    from deploy.model_making import needs_extra, progress_bar, step_bars

    with needs_extra("detector"):
        from deploy.studies import ablation
    check_writable(json_out)
    console = Console()
    with progress_bar(console) as progress:
        study = ablation(folders, unified=unified, seeds=seeds, on_progress=step_bars(progress))
    console.print(study.table())
    write_json(json_out, study.to_json())


@bench.command("marginal")
def bench_marginal(
    folders: Annotated[list[Path], typer.Argument(help="Sets of pictures with test and ground_truth.")],
    profile: Annotated[str, typer.Option(help="Which tower, at which size.")] = "lite",
    count: Annotated[list[int] | None, typer.Option(help="How many good pictures; all of them come last.")] = None,
    seeds: Annotated[int, typer.Option(help="How often pictures are drawn.", min=1)] = 3,
    json_out: JsonOut = None,
) -> None:
    """Measure models that were trained on 1, 2, 4, 8, 16 and all good pictures."""
    from deploy.model_making import needs_extra, progress_bar, step_bars

    with needs_extra("detector"):
        from deploy.studies import marginal
    check_writable(json_out)
    console = Console()
    with progress_bar(console) as progress:
        study = marginal(folders, profile=profile, counts=count or _FEW, seeds=seeds, on_progress=step_bars(progress))
    console.print(study.table())
    write_json(json_out, study.to_json())


@bench.command("engine")
def bench_engine_costs(
    model: Annotated[Path, typer.Option(help="A model that `linewarden train` wrote.")],
    pictures: Annotated[Path, typer.Option(help="A set of pictures, whose good ones are inspected.")],
    max_batch: Annotated[int, typer.Option(help="The largest batch.", min=1, max=256)] = 8,
    rounds: Annotated[int, typer.Option(help="How often each size is timed, in turns.", min=1)] = 100,
    engine: Annotated[str, typer.Option(help="The detector's `engine`.")] = "auto",
    threads: Annotated[int, typer.Option(help="The detector's `threads`.", min=1, max=256)] = 1,
    product: Product = None,
    effort: Annotated[Effort, typer.Option(help="With how much of itself the model looks.")] = Effort.FULL,
    json_out: JsonOut = None,
) -> None:
    """Measure what a batch of each size costs a detector here: what `linewarden plan` reads."""
    from dataclasses import asdict

    from deploy.model_making import needs_extra, progress_bar, step_bars

    with needs_extra("detector"):
        from deploy.engine_bench import bench_engine, bench_evidence
        from deploy.machine import machine_facts
        from detector.pictures.sets import list_good
    check_writable(json_out)
    console = Console()
    files = list_good(pictures)[:_MOST_PICTURES]
    with progress_bar(console) as progress:
        name, batches, frame_kib = bench_engine(
            model,
            files,
            max_batch=max_batch,
            rounds=rounds,
            engine=engine,
            threads=threads,
            product=product,
            effort=effort,
            on_progress=step_bars(progress),
        )
    console.print(f"engine {name}, {threads} threads")
    for size, cost in enumerate(batches, start=1):
        console.print(f"batch of {size}: median {cost.median_ms:.1f} ms, 99th percentile {cost.p99_ms:.1f} ms")
    evidence, evidence_kib = bench_evidence(model, files, rounds=rounds, engine=name, product=product)
    console.print(
        f"evidence of a frame that is kept, beside the engine: median {evidence.median_ms:.1f} ms, "
        f"99th percentile {evidence.p99_ms:.1f} ms, {evidence_kib:.0f} KiB"
    )
    write_json(
        json_out,
        {
            "machine": machine_facts(),
            "engine": name,
            "frame_kib": frame_kib,
            "batches": [asdict(cost) for cost in batches],
            "evidence": {**asdict(evidence), "kib": evidence_kib},
        },
    )


@bench.command("attention")
def bench_value_attention(
    folders: Annotated[list[Path], typer.Argument(help="Sets of pictures with test and ground_truth.")],
    weights: Annotated[str, typer.Option(help="A checkpoint of ViT-B-16: a file, tag:NAME, or random.")],
    seeds: Annotated[int, typer.Option(help="How often everything is trained, each time anew.", min=1)] = 3,
    json_out: JsonOut = None,
) -> None:
    """Measure what value-to-value attention brings and costs ViT-B-16 at 256 pixels."""
    from deploy.model_making import needs_extra, progress_bar, step_bars

    with needs_extra("detector"):
        from deploy.studies import attention
    check_writable(json_out)
    console = Console()
    with progress_bar(console) as progress:
        study = attention(folders, weights=weights, seeds=seeds, on_progress=step_bars(progress))
    console.print(study.table())
    write_json(json_out, study.to_json())


@bench.command("scale")
def bench_scale(
    cost_ms: Annotated[float, typer.Option(help="What a frame costs an engine.", min=1)] = 20.0,
    seconds: Annotated[float, typer.Option(help="How long each run takes.", min=4)] = 20.0,
    count: Annotated[list[int] | None, typer.Option(help="How many replicas; may be given several times.")] = None,
    json_out: JsonOut = None,
    picture_out: PictureOut = None,
) -> None:
    """Measure what replicas serve, and what a rebalance costs, on real Kafka with engines of a fixed cost."""
    import asyncio

    from deploy.model_making import needs_extra

    with needs_extra("detector"):
        from deploy.stream.scaling import scaling
    check_writable(json_out)
    check_picture(picture_out)
    figures = asyncio.run(scaling(cost_ms=cost_ms, seconds=seconds, counts=tuple(sorted(count or (1, 2, 4)))))
    for table in figures.tables():
        Console().print(table)
    write_json(json_out, figures.to_json())
    draw(figures, picture_out)


@bench.command("compression")
def bench_compression(
    seconds: Annotated[float, typer.Option(help="How long each turn at a fixed rate takes.", min=0.5)] = 5.0,
    rounds: Annotated[int, typer.Option(help="How many turns each codec has.", min=1)] = 3,
    json_out: JsonOut = None,
) -> None:
    """Measure what each of Kafka's codecs saves and costs on JPEGs, PNGs, raw frames and verdicts."""
    import asyncio

    from deploy.stream.compression import compression

    set_log_level("warning")
    check_writable(json_out)
    figures = asyncio.run(compression(seconds=seconds, rounds=rounds))
    Console().print(figures.table())
    write_json(json_out, figures.to_json())


@bench.command("bus")
def bench_bus(
    fps: Annotated[float, typer.Option(help="The camera's rate.", min=1)] = 30.0,
    cost_ms: Annotated[float, typer.Option(help="What a frame costs the engine.", min=1)] = 5.0,
    seconds: Annotated[float, typer.Option(help="How long each turn takes.", min=1)] = 20.0,
    rounds: Annotated[int, typer.Option(help="How many turns each bus has.", min=1)] = 3,
    json_out: JsonOut = None,
    picture_out: PictureOut = None,
) -> None:
    """Measure what Kafka adds to the latency from exposure to decision over the memory bus."""
    import asyncio

    from deploy.model_making import needs_extra

    with needs_extra("detector"):
        from deploy.stream.buses import bus_latency
    set_log_level("warning")
    check_writable(json_out)
    check_picture(picture_out)
    figures = asyncio.run(bus_latency(fps=fps, cost_ms=cost_ms, seconds=seconds, rounds=rounds))
    Console().print(figures.table())
    write_json(json_out, figures.to_json())
    draw(figures, picture_out)


@bench.command("neighbours")
def bench_neighbours(
    fps: Annotated[float, typer.Option(help="Each camera's rate.", min=0.5)] = 4.0,
    cost_ms: Annotated[float, typer.Option(help="What a frame costs the engine.", min=1)] = 20.0,
    seconds: Annotated[float, typer.Option(help="How long each run takes.", min=4)] = 20.0,
    rounds: Annotated[int, typer.Option(help="How many turns each trouble has.", min=1)] = 3,
    json_out: JsonOut = None,
) -> None:
    """Measure what good cameras feel of one that sends garbage, one that floods and one that froze."""
    import asyncio

    from deploy.model_making import needs_extra

    with needs_extra("detector"):
        from deploy.stream.neighbours import neighbours
    check_writable(json_out)
    figures = asyncio.run(neighbours(fps=fps, cost_ms=cost_ms, seconds=seconds, rounds=rounds))
    Console().print(figures.table())
    write_json(json_out, figures.to_json())


@bench.command("frames")
def bench_frames(
    size: Annotated[int, typer.Option(help="Bytes of a frame.", min=1_000, max=8_000_000)] = 200_000,
    count: Annotated[int, typer.Option(help="How many frames each time.", min=100)] = 1_500,
    rounds: Annotated[int, typer.Option(help="How many turns each has.", min=1)] = 3,
    json_out: JsonOut = None,
) -> None:
    """Measure large frames through Kafka beside the broker's own performance tools."""
    from deploy.stream.frames import frame_throughput

    check_writable(json_out)
    figures = frame_throughput(size=size, count=count, rounds=rounds)
    Console().print(figures.table())
    write_json(json_out, figures.to_json())
