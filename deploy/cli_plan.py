"""The command line's planning: `linewarden plan`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from deploy.capacity import Costs, Delay, Load, Plan, plan
from deploy.cli_options import JsonOut, Seed, check_writable, write_json
from shared.errors import ConfigError

_REMEDY = "Measure them: linewarden bench engine --model MODEL --pictures FOLDER --json FILE."


def plan_replicas(
    costs: Annotated[Path, typer.Option(help="What `linewarden bench engine --json` measured on the machine meant.")],
    cameras: Annotated[list[int] | None, typer.Option(help="How many cameras; may be given several times.")] = None,
    fps: Annotated[float, typer.Option(help="Parts a second, each camera.")] = 10.0,
    deadline_ms: Annotated[float, typer.Option(help="From exposure to signal: gate delay less actuation lead.")] = 800,
    to_engine_ms: Annotated[
        tuple[float, float], typer.Option(help="From exposure to the detector's queue: median and 99th percentile.")
    ] = (8.0, 25.0),
    to_signal_ms: Annotated[
        tuple[float, float], typer.Option(help="From verdict to the PLC's acknowledge: median and 99th percentile.")
    ] = (8.0, 25.0),
    reserve: Annotated[
        float, typer.Option(help="The share of each replica's cameras kept free.", min=0, max=0.9)
    ] = 0.1,
    replication: Annotated[int, typer.Option(help="Copies of each partition on the brokers.", min=1)] = 3,
    max_batch: Annotated[int, typer.Option(help="The detectors' largest batch.", min=1, max=256)] = 8,
    seconds: Annotated[float, typer.Option(help="Simulated time of each trial.", min=1)] = 60.0,
    seed: Seed = 0,
    json_out: JsonOut = None,
) -> None:
    """Say how many detector replicas, partitions and how much of a broker some cameras need.

    The detectors' own batcher runs through simulated time on measured costs, once for each number of cameras tried.
    """
    check_writable(json_out)
    batches, frame_kib = read_costs(costs)
    measured = Costs(batches, Delay(*to_engine_ms), Delay(*to_signal_ms))
    plans = [
        plan(
            Load(count, fps, deadline_ms, frame_kib),
            measured,
            max_batch=max_batch,
            reserve=reserve,
            replication=replication,
            seconds=seconds,
            seed=seed,
        )
        for count in cameras or [8]
    ]
    Console().print(table_of(plans))
    write_json(json_out, [asdict(one) for one in plans])


def read_costs(path: Path) -> tuple[tuple[Delay, ...], float]:
    """Return the batches' costs and a frame's size in KiB from what `bench engine` wrote; ConfigError if it did not."""
    try:
        figures = json.loads(path.read_text(encoding="utf-8"))
        return tuple(Delay(**batch) for batch in figures["batches"]), float(figures["frame_kib"])
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", _REMEDY) from None
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} holds no costs of an engine: {error}", _REMEDY) from None


def table_of(plans: list[Plan]) -> Table:
    """Return the plans side by side."""
    load = plans[0].load
    table = Table(
        title=f"Replicas for cameras of {load.fps:g} fps, {load.deadline_ms:g} ms to the signal",
        caption=f"Frames of {load.frame_kib:.0f} KiB. Simulated, not measured: see docs/scale.md.",
    )
    for heading in (
        "cameras",
        "replicas",
        "partitions each",
        "headroom",
        "engine busy",
        "p50 / p95 / p99 ms",
        "partitions",
        "broker in",
        "broker out",
    ):
        table.add_column(heading, justify="right")
    for one in plans:
        table.add_row(
            str(one.load.cameras),
            str(one.replicas),
            str(one.streams_each),
            f"{one.headroom:.0%}",
            f"{one.each.busy:.0%}",
            f"{one.each.p50_ms:.0f} / {one.each.p95_ms:.0f} / {one.each.p99_ms:.0f}",
            str(one.partitions),
            f"{one.broker_in_mbit_s:,.0f} Mbit/s",
            f"{one.broker_out_mbit_s:,.0f} Mbit/s",
        )
    return table
