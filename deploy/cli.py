"""The command line: `linewarden ...`."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deploy.app import Role
from deploy.cli_alerts import alerts
from deploy.cli_bench import bench
from deploy.cli_bench_alerting import bench_alerting_process
from deploy.cli_bench_cameras import bench_encodings, bench_gige_camera, bench_rtsp_cameras
from deploy.cli_bench_console import bench_console_day, bench_console_pages
from deploy.cli_bench_gate import bench_gate_timing, bench_ledger_verification, bench_policy
from deploy.cli_bench_speed import bench_beside_peers, bench_model_speed, bench_payload_ways, bench_whole_pipeline
from deploy.cli_bench_takeover import bench_takeovers
from deploy.cli_cameras import cameras
from deploy.cli_console import console as operators_console
from deploy.cli_export import export_for_engine
from deploy.cli_faults import run_faults
from deploy.cli_ledger import ledger
from deploy.cli_options import UNSOUND, JsonOut, Product, Seed, check_writable, set_log_level, write_json
from deploy.cli_plan import plan_replicas
from deploy.cli_plc import plc_sim
from deploy.cli_policy import policy
from deploy.cli_record import record_camera
from deploy.cli_review import review
from deploy.cli_topics import topics
from deploy.cli_trends import show_trends
from shared.domain import Effort, GateMode
from shared.errors import LinewardenError
from shared.redaction import redact

_BAD_INPUT = 2

app = typer.Typer(
    name="linewarden",
    help="Camera inspection for production lines: one decision for each part, and only an inspected good part passes.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
)
dev = typer.Typer(help="The servers that a developer needs, on loopback.", no_args_is_help=True)
bench.command("alerting")(bench_alerting_process)
bench.command("compare")(bench_beside_peers)
bench.command("console")(bench_console_pages)
bench.command("console-day")(bench_console_day)
bench.command("encoding")(bench_encodings)
bench.command("gate")(bench_gate_timing)
bench.command("gige")(bench_gige_camera)
bench.command("ledger")(bench_ledger_verification)
bench.command("model")(bench_model_speed)
bench.command("payloads")(bench_payload_ways)
bench.command("pipeline")(bench_whole_pipeline)
bench.command("policy")(bench_policy)
bench.command("rtsp")(bench_rtsp_cameras)
bench.command("takeover")(bench_takeovers)
app.add_typer(alerts, name="alerts")
app.add_typer(bench, name="bench")
app.add_typer(cameras, name="cameras")
app.add_typer(operators_console, name="console")
app.add_typer(dev, name="dev")
app.add_typer(policy, name="policy")
app.add_typer(ledger, name="ledger")
app.add_typer(review, name="review")
app.add_typer(topics, name="topics")
app.command("export")(export_for_engine)
app.command("plan")(plan_replicas)
app.command("faults")(run_faults)
app.command("record")(record_camera)
app.command("plc-sim")(plc_sim)
app.command("trends")(show_trends)

Config = Annotated[Path, typer.Option("--config", help="The line's settings, a TOML file.")]


@app.command()
def demo(
    parts: Annotated[int, typer.Option(help="How many parts run over the line.", min=1)] = 200,
    rate: Annotated[float, typer.Option(help="Parts a second.", min=0.1, max=200)] = 10.0,
    source: Annotated[
        str, typer.Option(help="`rendered`, a folder of pictures (MVTec layout for labels), or rtsp://HOST/PATH.")
    ] = "rendered",
    bus: Annotated[str, typer.Option(help="`memory://` or kafka://HOST:PORT.")] = "memory://",
    store: Annotated[str, typer.Option(help="`memory://` or redis://HOST:PORT/DB.")] = "memory://",
    model: Annotated[Path | None, typer.Option(help="A trained model; without one the demo trains its own.")] = None,
    gate: Annotated[GateMode, typer.Option(help="Which way the gate rests.")] = GateMode.PASS_ASSERTED,
    reject_at: Annotated[
        float,
        typer.Option(help="The calibrated score that rejects; with N good pictures little above log10(N) is known."),
    ] = 2.0,
    journal: Annotated[
        Path | None, typer.Option(help="Also keep the ledger in this folder, for `linewarden ledger verify`.")
    ] = None,
    pages: Annotated[bool, typer.Option("--console/--no-console", help="Serve the operators' pages beside it.")] = True,
    console_port: Annotated[
        int | None, typer.Option(help="Where; 8710, or any that is free, without.", min=0, max=65_535)
    ] = None,
    keep_open: Annotated[
        bool | None,
        typer.Option(
            "--keep-open/--no-keep-open",
            help="Let the pages stay after the last part, until Enter or Ctrl-C; so it is in a terminal.",
        ),
    ] = None,
    seed: Seed = 0,
    json_out: JsonOut = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "warning",
) -> None:
    """Train a model, run a whole line on it, and hold the ledger against the simulated PLC's count.

    With a folder as source and a real bus, the pictures go through a real RTSP server. Exits with 1 when the ledger
    does not balance.
    """
    from deploy.demo import DemoOptions
    from deploy.demo import demo as run_demo

    set_log_level(log_level)
    check_writable(json_out)
    options = DemoOptions(
        source=source,
        parts=parts,
        rate_hz=rate,
        bus=bus,
        store=store,
        model=model,
        seed=seed,
        gate=gate,
        reject_at=reject_at,
        journal=journal,
        console=pages,
        console_port=console_port,
        keep_open=pages and (sys.stdin.isatty() and sys.stdout.isatty() if keep_open is None else keep_open),
    )
    console = Console()
    result = run_demo(options, console)
    console.print(result.table())
    write_json(json_out, result.to_json())
    if not result.sound:
        raise typer.Exit(UNSOUND)


@app.command()
def run(
    config: Config,
    role: Annotated[Role, typer.Option(help="What this process does.")] = Role.ALL,
    json_out: JsonOut = None,
) -> None:
    """Run one role, or all of them, until Ctrl-C (a second one ends at once) or until the sources end."""
    from deploy.running import run_role

    check_writable(json_out)
    results = run_role(config, role)
    console = Console()
    for result in results:
        console.print(result.table())
    write_json(json_out, {result.line: result.to_json() for result in results})


@app.command()
def report(config: Config, json_out: JsonOut = None) -> None:
    """Print the result table of each line in the settings, from the store and the PLC, while it runs or afterwards."""
    from deploy.running import report_lines

    check_writable(json_out)
    results = report_lines(config)
    console = Console()
    for result in results:
        console.print(result.table())
    write_json(json_out, {result.line: result.to_json() for result in results})


@app.command()
def train(
    folders: Annotated[
        list[Path], typer.Argument(help="MVTec-layout folders, a product each: FOLDER/train/good holds good pictures.")
    ],
    out: Annotated[Path, typer.Option(help="Where to write the model.")],
    profile: Annotated[str, typer.Option(help="Which tower, at which size.")] = "lite",
    weights: Annotated[
        str | None, typer.Option(help="The tower's weights: a file, `tag:NAME` that open_clip knows, or `random`.")
    ] = None,
    seed: Seed = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model that is there.")] = False,
    export: Annotated[bool, typer.Option("--export/--no-export", help="Also export it for OpenVINO.")] = True,
) -> None:
    """Learn what good parts look like, from good pictures alone; one model for all the products given.

    A training that was broken off goes on where it was when it is started again with the same options.
    """
    from deploy.model_making import train_model

    console = Console()
    model_id = train_model(
        folders,
        profile=profile,
        seed=seed,
        out=out,
        overwrite=overwrite,
        console=console,
        weights=weights,
        exported=export,
    )
    console.print(f"Model {model_id} written to {out}.")


@app.command()
def evaluate(
    folder: Annotated[Path, typer.Argument(help="An MVTec-layout folder with test and ground_truth.")],
    model: Annotated[Path, typer.Option(help="A model that `linewarden train` wrote.")],
    reject_at: Annotated[float, typer.Option(help="The calibrated score that would reject.", min=0, max=12)] = 2.0,
    product: Product = None,
    effort: Annotated[Effort, typer.Option(help="With how much of itself the model looks.")] = Effort.FULL,
    html: Annotated[Path | None, typer.Option(help="Also write a page with the worst misses and false alarms.")] = None,
    json_out: JsonOut = None,
) -> None:
    """Measure a model on labelled pictures that took no part in its training."""
    from deploy.model_making import evaluate_model
    from detector.evaluation.report import render as render_report

    check_writable(json_out)
    check_writable(html)
    console = Console()
    evaluation = evaluate_model(folder, model, reject_at, console, html=html, product=product, effort=effort)
    console.print(render_report(evaluation))
    write_json(json_out, json.loads(evaluation.to_json()))


@app.command()
def threshold(
    model: Annotated[Path, typer.Argument(help="A model that `linewarden train` wrote.")],
    false_rejects: Annotated[float, typer.Option(help="The share of good parts that may be rejected.")] = 0.05,
    product: Product = None,
) -> None:
    """Say at which score a model rejects a wanted share of good parts, and how sure that is."""
    from deploy.model_making import advise

    advice = advise(model, false_rejects, product)
    Console().print(
        # Rounded down: it must not lie above the good part that it was taken from.
        f"reject_at = {math.floor(100 * advice.threshold) / 100:.2f} rejects {advice.wanted_rate:.2%} of good parts; "
        f"from {advice.pictures} held-out pictures the true rate lies between {advice.lowest_rate:.2%} and "
        f"{advice.highest_rate:.2%} (90 %)."
    )


@app.command("compare")
def compare_systems(
    folders: Annotated[list[Path], typer.Argument(help="Sets of pictures with test and ground_truth.")],
    profile: Annotated[str, typer.Option(help="Which of this system's profiles.")] = "lite",
    seeds: Annotated[int, typer.Option(help="How often each system is trained, each time anew.", min=1)] = 3,
    peers: Annotated[Path, typer.Option(help="A Python that has anomalib; `make compare` makes one.")] = Path(
        ".venv-anomalib/bin/python"
    ),
    json_out: JsonOut = None,
) -> None:
    """Measure this system beside anomalib's PatchCore and PaDiM: the same pictures, trunk weights, size and metrics."""
    from deploy.model_making import needs_extra

    with needs_extra("detector"):
        from deploy.comparison import compare
    check_writable(json_out)
    console = Console()
    comparison = compare(folders, profile=profile, seeds=seeds, peers=peers, console=console)
    console.print(comparison.table())
    write_json(json_out, comparison.to_json())


@app.command("synth-preview")
def synth_preview(
    folder: Annotated[Path, typer.Argument(help="A set of pictures; its good ones are spoilt.")],
    out: Annotated[Path, typer.Option(help="The contact sheet, a .png or .jpg file.")] = Path("synth-preview.png"),
    generator: Annotated[list[str] | None, typer.Option(help="A generator to show; without one, all of them.")] = None,
    columns: Annotated[int, typer.Option(help="Defects of each kind.", min=1, max=32)] = 6,
    seed: Seed = 0,
) -> None:
    """Show the defects that training makes from good pictures, a row for each generator."""
    from deploy.model_making import preview_defects

    preview_defects(folder, out=out, seed=seed, generators=generator or (), columns=columns)
    Console().print(f"Contact sheet written to {out}.")


@app.command()
def render(
    folder: Annotated[Path, typer.Argument(help="An empty or new folder.")],
    good: Annotated[int, typer.Option(help="Good parts to train on.", min=1)] = 100,
    test_good: Annotated[int, typer.Option(help="Good parts to test on.", min=0)] = 50,
    test_each_defect: Annotated[int, typer.Option(help="Parts of each kind of defect.", min=0)] = 10,
    seed: Seed = 0,
) -> None:
    """Write rendered parts with exact ground truth as an MVTec-layout folder."""
    from deploy.model_making import render_dataset

    render_dataset(
        folder, good=good, test_good=test_good, test_each_defect=test_each_defect, seed=seed, console=Console()
    )


@dev.command("up")
def dev_up(
    config: Annotated[Path, typer.Option("--config", help="Write settings with all addresses to this file.")] = Path(
        "line.toml"
    ),
    source: Annotated[str, typer.Option(help="`rendered`, or a folder to play through the RTSP server.")] = "rendered",
    parts: Annotated[int, typer.Option(help="How many parts the line runs.", min=1)] = 200,
    rate: Annotated[float, typer.Option(help="Parts a second.", min=0.1, max=200)] = 10.0,
    model: Annotated[Path, typer.Option(help="Where the detector finds its model.")] = Path("models/lite"),
    bus: Annotated[str | None, typer.Option(help="Your own kafka://HOST:PORT instead of a new broker.")] = None,
    store: Annotated[str | None, typer.Option(help="Your own redis://HOST:PORT/DB instead of a new server.")] = None,
) -> None:
    """Start Kafka, Redis, a simulated PLC and (for a folder) an RTSP camera, and wait for Ctrl-C."""
    from deploy.dev import DevOptions, up

    up(
        DevOptions(config=config, source=source, parts=parts, rate_hz=rate, model=model, bus=bus, store=store),
        Console(),
    )


def main() -> None:
    """Run the command line; bad input ends with one clear line and exit code 2."""
    try:
        app()
    except LinewardenError as error:
        _refuse(error)
    except BaseExceptionGroup as group:
        known = _first_known(group)
        if known is None:
            raise
        _refuse(known)


def _first_known(group: BaseExceptionGroup) -> LinewardenError | None:
    for error in group.exceptions:
        if isinstance(error, LinewardenError):
            return error
        if isinstance(error, BaseExceptionGroup) and (found := _first_known(error)) is not None:
            return found
    return None


def _refuse(error: LinewardenError) -> None:
    sys.stderr.write(f"error: {redact(str(error))}\n")
    raise SystemExit(_BAD_INPUT) from None


if __name__ == "__main__":
    main()
