"""The command line's simulated PLC: `linewarden plc-sim`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from deploy.cli_options import UNSOUND, Seed, check_writable
from shared.domain import GateMode
from shared.errors import ConfigError

if TYPE_CHECKING:
    from alerting.plc_sim.speed import SpeedProfile


def plc_sim(
    url: Annotated[
        str, typer.Option(help="modbus://HOST:PORT, opcua://HOST:PORT, or mqtt://BROKER:PORT?prefix=TOPIC.")
    ] = "modbus://127.0.0.1:1502",
    gate: Annotated[GateMode, typer.Option(help="Which way the gate rests.")] = GateMode.PASS_ASSERTED,
    speed: Annotated[
        str, typer.Option(help="`changing` (with stops and jogs), or a steady speed in m/s.")
    ] = "changing",
    slowest: Annotated[float, typer.Option(help="m/s, of a changing belt.", min=0.01)] = 0.2,
    fastest: Annotated[float, typer.Option(help="m/s, of a changing belt.", min=0.02, max=10)] = 1.5,
    parts: Annotated[
        str, typer.Option(help="`own` (the PLC's photo-eye sees them), or `told` (ingest tells of them, on Modbus).")
    ] = "own",
    pitch_mm: Annotated[float, typer.Option(help="From part to part.", min=1)] = 50.0,
    crowded: Annotated[float, typer.Option(help="The share of parts that follow too close.", min=0, max=1)] = 0.0,
    limit: Annotated[int | None, typer.Option(help="End after so many parts.", min=1)] = None,
    distance_mm: Annotated[float, typer.Option(help="From the photo-eye to the gate.", min=1)] = 600.0,
    reach_mm: Annotated[float, typer.Option(help="The belt that one part's gate decision takes.", min=0)] = 30.0,
    flap_mm: Annotated[float, typer.Option(help="What of it the gate really sweeps.", min=0)] = 10.0,
    reaction_ms: Annotated[float, typer.Option(help="From output to gate in place.", min=0)] = 20.0,
    counts_per_mm: Annotated[float, typer.Option(help="The encoder's.", min=0.1)] = 10.0,
    jitter_counts: Annotated[float, typer.Option(help="How far an edge is off its place.", min=0, max=20)] = 1.0,
    bin_parts: Annotated[
        int | None, typer.Option(help="Rejects that fill the bin; it then holds the line.", min=1)
    ] = None,
    lost_ejects: Annotated[float, typer.Option(help="The share of rejects that get stuck.", min=0, max=1)] = 0.0,
    attend_s: Annotated[float, typer.Option(help="When a person comes to a line that is held.", min=0)] = 5.0,
    freezes_per_min: Annotated[float, typer.Option(help="How often the PLC freezes.", min=0, max=60)] = 0.0,
    freeze_s: Annotated[float, typer.Option(help="For how long.", min=0)] = 1.0,
    drops_per_min: Annotated[float, typer.Option(help="How often connections are dropped.", min=0, max=60)] = 0.0,
    acknowledge_ms: Annotated[float, typer.Option(help="How late acknowledges are.", min=0)] = 0.0,
    scan_ms: Annotated[float, typer.Option(help="The PLC's scan.", min=0.5, max=1_000)] = 5.0,
    log: Annotated[Path | None, typer.Option(help="Append each part's decision and fate as JSON lines.")] = None,
    seed: Seed = 0,
) -> None:
    """Run a conveyor with a gate and its PLC: the other side of the handshake, for trying a line without one.

    Exits with 1 when a part is not accounted for.
    """
    from deploy.model_making import needs_extra

    with needs_extra("alerting"):
        from alerting.plc_sim.actuator import GateMachine
        from alerting.plc_sim.chute import ChuteSettings
        from alerting.plc_sim.encoder import Encoder
        from alerting.plc_sim.feed import FeedSettings
        from deploy.plc_sim import Faults, PlcSimOptions, serve
    check_writable(log)
    if parts not in {"own", "told"}:
        raise ConfigError(f"--parts {parts!r} is unknown", "Use own or told.")
    if flap_mm > reach_mm:
        raise ConfigError("--flap-mm is more than --reach-mm", "The reach holds the flap and what the encoder is off.")
    fed = FeedSettings(pitch_mm=pitch_mm, crowded=crowded, limit=limit, seed=seed) if parts == "own" else None
    options = PlcSimOptions(
        url=url,
        mode=gate,
        profile=_profile(speed, slowest, fastest, seed),
        encoder=Encoder(counts_per_mm, jitter_counts=jitter_counts, seed=seed),
        machine=GateMachine(distance_mm, reach_mm, flap_mm, reaction_ms),
        feed=fed,
        chute=ChuteSettings(bin_parts, lost_ejects, seed),
        faults=Faults(freezes_per_min, freeze_s, drops_per_min, acknowledge_ms, seed),
        scan_ms=scan_ms,
        attend_s=attend_s,
        log=log,
    )
    if not serve(options, Console()):
        raise typer.Exit(UNSOUND)


def _profile(speed: str, slowest: float, fastest: float, seed: int) -> SpeedProfile:
    from alerting.plc_sim.speed import changing, steady

    if speed == "changing":
        if slowest >= fastest:
            raise ConfigError("--slowest is not below --fastest", "Give a changing belt a range.")
        return changing(seed, slowest_mm_s=slowest * 1_000, fastest_mm_s=fastest * 1_000)
    try:
        m_s = float(speed)
    except ValueError:
        m_s = 0.0
    if not 0 < m_s <= 10:  # noqa: PLR2004 - faster belts do not exist
        raise ConfigError(f"--speed {speed!r} is no speed", "Use changing, or a number of m/s up to 10, such as 0.8.")
    return steady(m_s * 1_000)
