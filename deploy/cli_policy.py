"""The command line's policies: `linewarden policy show|set|preview|history|resume`."""

from __future__ import annotations

import asyncio
import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from alerting.policy_edit import edit_of
from alerting.policy_preview import Preview, preview
from deploy.cli_options import JsonOut, check_writable, write_json
from deploy.collecting import uncollected
from deploy.policy_tools import desk_of, recorded_verdicts
from shared.clock import SystemClock
from shared.errors import ConfigError
from shared.policy import LinePolicy
from shared.policy_record import LineHalt, PolicyChange, differences
from shared.settings import load

policy = typer.Typer(
    help="What rejects a line's parts: shown, changed while the line runs, tried on what was recorded.",
    no_args_is_help=True,
)

Config = Annotated[Path, typer.Option("--config", help="The line's settings, a TOML file.")]
Line = Annotated[str | None, typer.Option("--line", help="Which line; not needed where there is only one.")]
Changes = Annotated[
    list[str], typer.Argument(help="Such as reject_at=2.5 or per_camera.top.masks=none.", metavar="KEY=VALUE...")
]
Reason = Annotated[str, typer.Option("--reason", help="Why: it stays in the audit.")]
By = Annotated[str | None, typer.Option("--by", help="Who changes it, instead of the user of this system.")]


@policy.command("show")
def show_policy(config: Config, line: Line = None, json_out: JsonOut = None) -> None:
    """Show the policy that stands, its version, and whether the line is halted."""
    check_writable(json_out)
    version, standing, halt = asyncio.run(_shown(config, line))
    console = Console()
    console.print(_policy_table(version, standing))
    if halt is not None and halt.halted:
        console.print(f"The line is halted since {_when(halt.at_ns)}: {halt.why}. Go on: linewarden policy resume.")
    write_json(json_out, {"version": version, "policy": standing.model_dump(mode="json")})


@policy.command("set")
def set_policy(config: Config, changes: Changes, reason: Reason, line: Line = None, by: By = None) -> None:
    """Change the policy; a running line judges by it within a second, and every change is kept with who and why."""
    change, taken_s = asyncio.run(_set(config, line, changes, _said(reason), by))
    console = Console()
    console.print(f"Policy {change.version} of {change.line}: {differences(change)}.", soft_wrap=True)
    if taken_s is None:
        console.print("No running service has taken it yet; one that starts will.")
    else:
        console.print(f"The running line judges by it since {taken_s:.1f} s.")


@policy.command("preview")
def preview_policy(
    config: Config,
    changes: Changes,
    line: Line = None,
    source: Annotated[
        str, typer.Option(help="`verdicts` of the bus, `decisions` of the store, or `auto`: what there is.")
    ] = "auto",
    newest: Annotated[int, typer.Option(help="How many of the newest parts.", min=1)] = 100_000,
    json_out: JsonOut = None,
) -> None:
    """Show what a change would have made of recorded verdicts; changes nothing."""
    if source not in {"auto", "verdicts", "decisions"}:
        raise ConfigError(f"--source {source!r} is none", "Use auto, verdicts or decisions.")
    check_writable(json_out)
    found, origin = asyncio.run(_previewed(config, line, changes, source, newest))
    console = Console()
    console.print(f"{found.parts} parts, from {origin}: {found.changed} would come out otherwise.", soft_wrap=True)
    console.print(preview_table(found))
    for one in found.examples:
        console.print(f"{one.part_id}: {one.before} ({one.was}) -> {one.after} ({one.would_be})", soft_wrap=True)
    write_json(json_out, {"source": origin, **found.to_json()})


@policy.command("history")
def show_history(
    config: Config,
    line: Line = None,
    newest: Annotated[int, typer.Option(help="How many entries.", min=1)] = 20,
    json_out: JsonOut = None,
) -> None:
    """Show who changed the policy, halted or resumed the line, when and why."""
    check_writable(json_out)
    entries = asyncio.run(_history(config, line, newest))
    table = Table(title="Policy history", title_justify="left", show_edge=False)
    for heading in ("when (UTC)", "who", "what", "why"):
        table.add_column(heading)
    for entry in entries:
        table.add_row(_when(entry.at_ns), entry.by, _what(entry), entry.why)
    Console().print(table)
    write_json(
        json_out,
        [{"at_ns": entry.at_ns, "by": entry.by, "what": _what(entry), "why": entry.why} for entry in entries],
    )


@policy.command("resume")
def resume_line(config: Config, reason: Reason, line: Line = None, by: By = None) -> None:
    """Let a halted line go on."""
    ended = asyncio.run(_resume(config, line, _said(reason), by))
    if ended is None:
        Console().print("The line is not halted.")
    else:
        Console().print(f"Resumed; it was halted at {_when(ended.at_ns)}: {ended.why}.", soft_wrap=True)


def preview_table(found: Preview) -> Table:
    """Return which outcomes the parts go from and to, and how often runs of rejects were too long."""
    table = Table(title="Preview", title_justify="left", show_edge=False)
    for heading in ("as it stands", "as it would be"):
        table.add_column(heading)
    table.add_column("parts", justify="right")
    for (before, after), count in sorted(found.moves.items()):
        table.add_row(before, after, str(count))
    table.add_row(f"{found.runs_before} runs of rejects", f"{found.runs_after} runs of rejects", "")
    return table


async def _shown(config: Path, line: str | None) -> tuple[int, LinePolicy, LineHalt | None]:
    async with desk_of(load(config), line) as desk:
        version, standing = await desk.standing()
        halt, _ = await desk.keeper.halted()
    return version, standing, halt


async def _set(
    config: Path, line: str | None, changes: list[str], reason: str, by: str | None
) -> tuple[PolicyChange, float | None]:
    clock = SystemClock()
    async with desk_of(load(config), line) as desk:
        change = await desk.keeper.change(
            edit_of(changes, desk.cameras),
            first=desk.line.policy,
            by=by or getpass.getuser(),
            at_ns=clock.utc_ns(),
            why=reason,
        )
        return change, await desk.taken(change.version, clock)


async def _previewed(
    config: Path, line: str | None, changes: list[str], source: str, newest: int
) -> tuple[Preview, str]:
    async with desk_of(load(config), line) as desk:
        _, before = await desk.standing()
        after = edit_of(changes, desk.cameras)(before)
        with uncollected():
            parts, origin = await recorded_verdicts(desk, source=source, newest=newest)
            return preview(parts, desk.cameras, before, after), origin


async def _history(config: Path, line: str | None, newest: int) -> list[PolicyChange | LineHalt]:
    async with desk_of(load(config), line) as desk:
        entries: list[PolicyChange | LineHalt] = [
            *await desk.keeper.changes(newest=newest),
            *await desk.keeper.halts(newest=newest),
        ]
    return sorted(entries, key=lambda entry: entry.at_ns, reverse=True)[:newest]


async def _resume(config: Path, line: str | None, reason: str, by: str | None) -> LineHalt | None:
    async with desk_of(load(config), line) as desk:
        return await desk.keeper.resume(by=by or getpass.getuser(), at_ns=SystemClock().utc_ns(), why=reason)


def _said(reason: str) -> str:
    if not reason.strip():
        raise ConfigError("--reason is empty", "Say why: it stays in the audit.")
    return reason.strip()


def _what(entry: PolicyChange | LineHalt) -> str:
    if isinstance(entry, PolicyChange):
        return f"version {entry.version}: {differences(entry)}"
    return "halted" if entry.halted else "resumed"


def _when(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns / 1e9, UTC).isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")


def _policy_table(version: int, standing: LinePolicy) -> Table:
    said = "what the settings say" if version == 0 else "of the store"
    table = Table(title=f"Policy {version}, {said}", title_justify="left", show_edge=False)
    for heading in ("setting", "value"):
        table.add_column(heading)
    for name, value in standing.model_dump(mode="json").items():
        table.add_row(name, "none" if value is None else str(value))
    return table
