"""The command line's trends: `linewarden trends LINE`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from deploy.cli_options import JsonOut, check_writable, write_json
from shared.clock import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alerting.trends.pareto import Bar
    from alerting.trends.reading import Read
    from alerting.trends.report import Trends

_SHOWN = 12


def show_trends(
    line: Annotated[str, typer.Argument(help="Which line.")],
    config: Annotated[Path, typer.Option("--config", help="The line's settings, a TOML file.")],
    since: Annotated[
        str | None,
        typer.Option("--since", help="The last 90m, 8h or 7d, from the ledger; without it the shift, from the store."),
    ] = None,
    shift: Annotated[bool, typer.Option("--shift", help="The current shift, from the store: the default.")] = False,
    group_s: Annotated[float | None, typer.Option(help="Seconds that a row covers.", min=1)] = None,
    json_out: JsonOut = None,
) -> None:
    """Show a line's rates with their limits, drift of its scores, where its defects lie, and how long parts took."""
    from alerting.trends.report import trends_of
    from deploy.trends_work import parts_read
    from shared.errors import ConfigError

    if shift and since is not None:
        raise ConfigError("--shift and --since are two different times", "Give one of them.")
    check_writable(json_out)
    read = asyncio.run(parts_read(config, line, since))
    found = trends_of(read.parts, group_s=group_s)
    console = Console()
    console.print(_heading(line, read, found), soft_wrap=True, markup=False)
    if found.parts:
        for table in tables(found):
            console.print()
            console.print(table)
    shift_json = None if read.counters is None else {"name": read.shift, "settled": read.counters.settled}
    write_json(
        json_out,
        {"line": line, "source": read.source, "whole": read.whole, "shift": shift_json, **found.to_json()},
    )


def tables(found: Trends) -> list[Table]:
    """Return the trends for people."""
    return [_rates(found), _drifts(found), *_paretos(found), _delays(found)]


def _heading(line: str, read: Read, found: Trends) -> str:
    covered = f"{_when(found.first_ns)} to {_when(found.last_ns)} UTC" if found.parts else "nothing"
    text = f"Line {line}, from the {read.source}: {found.parts} parts, {covered}."
    if read.counters is not None:
        text += f" The shift {read.shift} has {read.counters.settled} decided parts"
        text += "." if read.whole else ", of which the store keeps the newest: --since reads all of them."
    elif not read.whole:
        text += " Older ones are gone from there."
    return text


def _rates(found: Trends) -> Table:
    charts = found.reject_chart, found.default_chart
    title = f"Rates, in groups of {found.group_s:g} s; limits: 3 sigma about {charts[0].centre:.2%} rejected"
    table = Table(title=title, title_justify="left", show_edge=False)
    for name in ("from (UTC)", "parts", "rejected", "limits", "default", "limits", "p99 ms", "late", ""):
        table.add_column(name, justify="left" if name == "from (UTC)" else "right")
    rows = list(zip(found.groups, charts[0].points, charts[1].points, strict=True))
    for group, rejects, defaults in rows:
        outside = " ".join(name for name, one in (("rejects", rejects), ("defaults", defaults)) if one.outside)
        table.add_row(
            _when(group.start_ns),
            str(group.parts),
            f"{rejects.rate:.2%}",
            f"{rejects.lower:.2%}..{rejects.upper:.2%}",
            f"{defaults.rate:.2%}",
            f"{defaults.lower:.2%}..{defaults.upper:.2%}",
            "" if group.p99_ms is None else f"{group.p99_ms:.0f}",
            str(group.late),
            f"OUTSIDE: {outside}" if outside else "",
            style="bold red" if outside else "",
        )
    if charts[0].few:
        table.caption = "The groups are small: limits are rough, --group-s makes them larger."
    return table


def _drifts(found: Trends) -> Table:
    table = Table(title="Scores against their calibration", title_justify="left", show_edge=False)
    for name in ("camera", "calibration", "pictures", "stability index", "by chance", ""):
        table.add_column(name, justify="right" if name in {"pictures", "stability index", "by chance"} else "left")
    for one in found.drifts:
        said = "LARGE DRIFT" if one.large else "drift" if one.drifted else "stable"
        cells = (one.camera, one.calibration_id, str(one.pictures), f"{one.index:.3f}", f"{one.by_chance:.3f}", said)
        table.add_row(*cells, style="bold red" if one.large else "yellow" if one.drifted else "")
    return table


def _paretos(found: Trends) -> list[Table]:
    named = (
        ("Rejects by camera", found.by_camera),
        ("Rejects by region of the picture", found.by_place),
        ("Why parts came by default", found.misses),
    )
    return [_pareto(title, bars) for title, bars in named if bars]


def _pareto(title: str, bars: Sequence[Bar]) -> Table:
    table = Table(title=title, title_justify="left", show_edge=False)
    for name in ("", "parts", "share", "running"):
        table.add_column(name, justify="right" if name else "left")
    for bar in bars[:_SHOWN]:
        table.add_row(bar.name, str(bar.count), f"{bar.share:.1%}", f"{bar.running:.1%}")
    if len(bars) > _SHOWN:
        table.caption = f"and {len(bars) - _SHOWN} more, in --json"
    return table


def _delays(found: Trends) -> Table:
    took = found.delays
    table = Table(title="Capture to signal", title_justify="left", show_edge=False)
    for name in ("parts", "p50 ms", "p95 ms", "p99 ms", "worst ms", "p99 of the time allowed", "late", "by default"):
        table.add_column(name, justify="right")
    figures = (took.p50_ms, took.p95_ms, took.p99_ms, took.worst_ms)
    used = "" if took.used_p99 is None else f"{took.used_p99:.0%}"
    shown = ("" if figure is None else f"{figure:.1f}" for figure in figures)
    table.add_row(str(took.parts), *shown, used, str(took.late), str(found.defaulted))
    return table


def _when(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns / NS_PER_S, UTC).strftime("%m-%d %H:%M:%S")
