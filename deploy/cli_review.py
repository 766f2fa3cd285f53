"""The command line's review: `linewarden review list|say|confirm|export|pack`."""

from __future__ import annotations

import asyncio
import getpass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deploy.cli_options import JsonOut, check_writable, write_json
from shared.clock import NS_PER_S
from shared.errors import ConfigError
from shared.review import Said, Standing
from shared.review_desk import Reviewed
from shared.store.base import Exhibit

review = typer.Typer(
    help="What operators say of decided parts: overkill, escapes, agreement; confirmed ones become sets of pictures.",
    no_args_is_help=True,
)

Config = Annotated[Path, typer.Option("--config", help="The line's settings, a TOML file.")]
Line = Annotated[str | None, typer.Option("--line", help="Which line, where the settings have several.")]
Part = Annotated[str, typer.Argument(help="The part's id.")]
Reason = Annotated[str, typer.Option("--reason", help="Why: it stays with the part.")]
Who = Annotated[str | None, typer.Option("--who", help="Who you are; without it the name of your login.")]
_KEPT = {
    Exhibit.KEPT: "Its evidence is kept.",
    Exhibit.NONE: "No evidence is kept of it.",
    Exhibit.NO_ROOM: "There is NO ROOM to keep its evidence (store.review_mib): it expires. Export, and dismiss cases.",
}


class Confirmed(StrEnum):
    """What a case is confirmed as."""

    GOOD = "good"
    ESCAPE = "escape"
    DISMISSED = "dismissed"


@review.command("list")
def list_cases(
    config: Config,
    line: Line = None,
    standing: Annotated[Standing | None, typer.Option("--standing", help="Only those that stand so.")] = None,
    json_out: JsonOut = None,
) -> None:
    """Show the parts that somebody said something of, the newest first."""
    from deploy.review_work import listed

    check_writable(json_out)
    rows = asyncio.run(listed(config, line, standing))
    table = Table(show_edge=False)
    for name in ("part", "decided", "word", "stands", "when", "by", "why", "evidence"):
        table.add_column(name)
    for row in rows:
        case, last = row.case, row.case.steps[-1]
        when = datetime.fromtimestamp(last.at_ns / NS_PER_S, UTC).strftime("%m-%d %H:%M:%S")
        word = "" if case.word is None or case.word.said is None else case.word.said.value
        cells = (case.name, case.decision.outcome.value, word, case.standing.value, when, last.who, last.why)
        table.add_row(*map(escape, cells), "kept" if row.kept else "none")
    Console().print(table)
    write_json(json_out, [{**row.case.to_json(), "evidence_kept": row.kept} for row in rows])


@review.command("say")
def say_word(
    part: Part,
    said: Annotated[Said, typer.Argument(help="overkill: rejected but good; escape: passed but bad; agreed.")],
    config: Config,
    reason: Reason,
    line: Line = None,
    camera: Annotated[list[str] | None, typer.Option("--camera", help="Only this camera's picture shows it.")] = None,
    who: Who = None,
) -> None:
    """Say of a part whether it was decided rightly; its evidence is kept on. Another word takes the place of this."""
    from deploy.review_work import say

    done = asyncio.run(
        say(config, line, part, said, who=who or getpass.getuser(), why=reason, cameras=list(camera or ()))
    )
    _tell(done)


@review.command("confirm")
def confirm_case(
    part: Part,
    config: Config,
    standing: Annotated[Confirmed, typer.Option("--as", help="Good: for the bank; escape: for evaluation.")],
    reason: Reason,
    line: Line = None,
    camera: Annotated[list[str] | None, typer.Option("--camera", help="Only this camera's picture counts.")] = None,
    who: Who = None,
) -> None:
    """Confirm a case as good or as an escape, or dismiss it, which lets its evidence expire."""
    from deploy.review_work import settle

    cameras = None if camera is None else list(camera)
    as_ = Standing(standing.value)
    _tell(asyncio.run(settle(config, line, part, as_, who=who or getpass.getuser(), why=reason, cameras=cameras)))


@review.command("export")
def export_cases(
    folder: Annotated[Path, typer.Argument(help="A new folder: nothing is overwritten.")],
    config: Config,
    line: Line = None,
    test_percent: Annotated[
        float, typer.Option(help="How many of the good parts are measured on, not trained on.", min=0, max=90)
    ] = 20.0,
    json_out: JsonOut = None,
) -> None:
    """Write confirmed parts as sets of pictures, one for each camera, that `train` and `evaluate` read."""
    from deploy.review_work import export

    check_writable(json_out)
    done = asyncio.run(export(config, line, folder, test_percent / 100))
    console = Console(soft_wrap=True)
    for camera, counts in done.sets.items():
        said = ", ".join(f"{count} in {kind}" for kind, count in counts.items())
        console.print(f"{done.folder / camera}: {said}", markup=False)
        if not {"test/good", "test/escape"} <= counts.keys():
            console.print("  `evaluate` also wants at least one each of test/good and test/escape.", markup=False)
    for one in done.left_out:
        named = f"{one.part_id} ({one.camera})" if one.camera else one.part_id
        console.print(f"left out {named}: {one.why}", markup=False)
    console.print(f"{len(done.items)} pictures written, {len(done.left_out)} left out; all is in export.json.")
    write_json(json_out, done.to_json())


@review.command("pack")
def pack_evidence(
    part: Part,
    file: Annotated[Path, typer.Argument(help="A new .zip file: nothing is overwritten.")],
    config: Config,
    line: Line = None,
) -> None:
    """Write all that is kept of a part, pictures and numbers, as one zip file."""
    from deploy.review_work import packed

    if file.exists():
        raise ConfigError(f"{str(file)!r} is there already", "Give a new file: nothing is overwritten.")
    check_writable(file)
    try:
        data = asyncio.run(packed(config, line, part))
    except BaseException:
        file.unlink()
        raise
    file.write_bytes(data)
    Console(soft_wrap=True).print(f"{len(data) / 1024:.0f} KiB written to {file}.", markup=False)


def _tell(done: Reviewed) -> None:
    case = done.case
    Console(soft_wrap=True).print(
        f"Part {case.name} of {case.line} is {case.standing}. {_KEPT[done.exhibit]}", markup=False
    )
