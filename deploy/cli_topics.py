"""The command line's topics: `linewarden topics plan|apply|check`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from deploy.cli_options import UNSOUND
from deploy.topic_plan import Change, Standing, apply_plan, standing
from shared.settings import load

topics = typer.Typer(
    help="Which partition serves which camera: each has its own, and adding one moves no other.", no_args_is_help=True
)

Config = Annotated[Path, typer.Option("--config", help="The line's settings, a TOML file.")]
Prune = Annotated[
    bool, typer.Option("--prune", help="Also free the places of lines and cameras that are not in the settings.")
]


@topics.command("plan")
def plan_topics(config: Config, *, prune: Prune = False) -> None:
    """Show what `apply` would change; changes nothing."""
    found = asyncio.run(standing(load(config), prune=prune))
    console = Console()
    console.print(_table(found))
    for problem in _problems(found):
        console.print(problem)


@topics.command("apply")
def apply_topics(config: Config, *, prune: Prune = False) -> None:
    """Place the settings' lines and cameras, and create or widen the topics.

    Every role does so when it starts; freeing places is done here alone, and only by wish.
    """
    settings = load(config)
    asyncio.run(apply_plan(settings, prune=prune))
    Console().print(_table(asyncio.run(standing(settings, prune=prune))))


@topics.command("check")
def check_topics(config: Config) -> None:
    """Hold settings, plan and topics against each other; exits with 1 where they differ."""
    found = asyncio.run(standing(load(config), prune=True))
    console = Console()
    problems = list(_problems(found))
    for problem in problems:
        console.print(problem)
    if problems:
        raise typer.Exit(UNSOUND)
    console.print(f"{len(found.changes)} lines and cameras have their places, and the topics their partitions.")


def _problems(found: Standing) -> Iterator[str]:
    for change in found.changes:
        if change.before != change.after:
            yield f"{change.kind} {change.name}: {change.what}"
    for topic, (has, needs) in found.topics.items():
        if has < needs:
            yield f"topic {topic}: has {has} partitions, needs {needs}"


def _table(found: Standing) -> Table:
    table = Table(title="Partition plan", title_justify="left", show_edge=False)
    for heading in ("", "name", "partitions", "change"):
        table.add_column(heading)
    for change in found.changes:
        table.add_row(change.kind, change.name, _places(change), change.what)
    return table


def _places(change: Change) -> str:
    return ", ".join(str(place) for place in change.after or change.before)
