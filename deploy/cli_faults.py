"""The command line's fault campaign: `linewarden faults`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deploy.cli_options import UNSOUND, JsonOut, Seed, check_writable, set_log_level, write_json
from deploy.faults.schedule import FaultKind


class CampaignBus(StrEnum):
    """What a campaign can run on: processes need a bus that they share."""

    KAFKA = "kafka"


def run_faults(
    bus: Annotated[CampaignBus, typer.Option(help="The bus; it is started, with Redis, for the campaign.")] = (
        CampaignBus.KAFKA
    ),
    minutes: Annotated[float, typer.Option(help="How long faults go on.", min=0.5, max=24 * 60)] = 20.0,
    seed: Seed = 0,
    model: Annotated[Path | None, typer.Option(help="A trained model; without one it trains its own.")] = None,
    parts_per_s: Annotated[float, typer.Option(help="Parts a second, over both lines.", min=0.5, max=100)] = 9.0,
    without: Annotated[list[FaultKind] | None, typer.Option(help="Leave a kind of fault out.")] = None,
    standby: Annotated[
        bool, typer.Option(help="Two alerting processes, of which one takes over from the other.")
    ] = False,
    keep: Annotated[Path | None, typer.Option(help="Keep logs and settings in this new folder.")] = None,
    json_out: JsonOut = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Start the whole system on loopback, do faults to it, and audit it from outside; exits with 1 for a violation.

    The schedule comes from the seed: kill -9 and SIGSTOP of each role and server, cut and slow networks, messages told
    again, shuffled and broken, full disks (root only), stepped clocks, rebalance storms.
    """
    from deploy.demo import model_for
    from deploy.faults.campaign import CampaignOptions, run_campaign

    del bus  # one choice, named for what it says
    set_log_level(log_level)
    check_writable(json_out)
    console = Console()
    with model_for("rendered", model, 0, console) as trained:
        options = CampaignOptions(
            seed=seed,
            minutes=minutes,
            model=trained.absolute(),
            parts_per_s=parts_per_s,
            without=frozenset(without or ()),
            folder=keep,
            standby=standby,
        )
        result = run_campaign(options, console)
    console.print(result.table())
    for violation in result.violations:
        console.print(f"invariant {violation.invariant}, {violation.line}/{violation.part_id}: {violation.text}")
    for surprise in result.surprises:
        console.print(surprise, markup=False)
    write_json(json_out, result.to_json())
    if not result.sound:
        raise typer.Exit(UNSOUND)
