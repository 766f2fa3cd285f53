"""The command line's measurements of the gate and what stands behind it: `linewarden bench policy|ledger|gate`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from deploy.chart import check_picture, draw
from deploy.cli_options import UNSOUND, JsonOut, PictureOut, Seed, check_writable, set_log_level, write_json
from shared.errors import ConfigError


def bench_policy(
    verdicts: Annotated[int, typer.Option(help="How many recorded verdicts.", min=1)] = 100_000,
    high_share: Annotated[float, typer.Option(help="Which share of them is judged one by one.", min=0, max=1)] = 0.1,
    rounds: Annotated[int, typer.Option(help="How often it is timed.", min=1)] = 5,
    limit_s: Annotated[float, typer.Option(help="What each round may take for 100,000 verdicts.", min=0)] = 2.0,
    seed: Seed = 0,
    json_out: JsonOut = None,
) -> None:
    """Measure a preview of a changed policy, from the topic, on a bus inside this process, to the table.

    Exits with 1 when a round took longer than it may.
    """
    from deploy.cli_policy import preview_table
    from deploy.policy_bench import bench_preview

    check_writable(json_out)
    figures = bench_preview(verdicts=verdicts, high_share=high_share, rounds=rounds, seed=seed, limit_s=limit_s)
    console = Console()
    console.print(preview_table(figures.found))
    console.print(
        f"{verdicts} verdicts: {figures.read_s:.2f} s to read, {figures.judge_s:.2f} s to judge by both policies; "
        f"the slowest of {rounds} rounds took {figures.slowest_s:.2f} s in all, of {figures.limit_s:.2f} s."
    )
    write_json(json_out, figures.to_json())
    if not figures.sound:
        raise typer.Exit(UNSOUND)


def bench_ledger_verification(
    records: Annotated[int, typer.Option(help="How many records.", min=100)] = 1_000_000, json_out: JsonOut = None
) -> None:
    """Measure how fast a ledger is verified, and hold damage done to it against what is named; exits with 1 if not."""
    from deploy.ledger_bench import bench_ledger

    check_writable(json_out)
    figures = bench_ledger(records)
    Console().print(figures.table())
    write_json(json_out, figures.to_json())
    if not figures.sound:
        raise typer.Exit(UNSOUND)


def bench_gate_timing(
    simulated: Annotated[int, typer.Option(help="Parts in simulated time, each protocol; 0 for none.", min=0)] = 20_000,
    real: Annotated[int, typer.Option(help="Parts in real time over real sockets; 0 for none.", min=0)] = 2_000,
    rate: Annotated[float, typer.Option(help="Parts a second, on average.", min=0.5, max=40)] = 20.0,
    protocol: Annotated[list[str] | None, typer.Option(help="modbus, opcua or mqtt; without one, all of them.")] = None,
    seed: Seed = 0,
    json_out: JsonOut = None,
    picture_out: PictureOut = None,
) -> None:
    """Measure whether the gate throws out the right parts at the right time, on a belt that changes speed and stops.

    Each part runs through the alerting service. Exits with 1 when a bound is missed: no part gone the wrong way or hit
    for another, good parts passed and bad ones rejected by signal, signals answered, the gate's timing within 5 ms,
    and, over Modbus and OPC UA, decisions acknowledged within 10 ms.
    """
    from deploy.model_making import needs_extra

    with needs_extra("alerting"):
        from deploy.gate_bench import PROTOCOLS, bench_gate, to_json
        from deploy.gate_figures import GateRuns, table_of
    set_log_level("error")
    check_writable(json_out)
    check_picture(picture_out)
    chosen = tuple(protocol or PROTOCOLS)
    if unknown := set(chosen) - set(PROTOCOLS):
        raise ConfigError(f"--protocol {min(unknown)!r} is unknown", f"Known: {', '.join(PROTOCOLS)}.")
    figures = bench_gate(simulated=simulated, real=real, rate_hz=rate, seed=seed, protocols=chosen)
    Console().print(table_of(figures))
    write_json(json_out, to_json(figures))
    draw(GateRuns(tuple(figures)), picture_out)
    if not all(run.sound for run in figures):
        raise typer.Exit(UNSOUND)
