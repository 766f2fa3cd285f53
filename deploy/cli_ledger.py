"""The command line's ledger: `linewarden ledger verify|report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from deploy.cli_options import UNSOUND, JsonOut, check_writable, write_json

ledger = typer.Typer(
    help="Every decision in a chain of hashes: hold it against itself, and count it by line, shift and product.",
    no_args_is_help=True,
)

Journal = Annotated[Path | None, typer.Argument(help="A journal's folder; without one the topic of --config is read.")]
Config = Annotated[Path | None, typer.Option("--config", help="The line's settings, a TOML file.")]
_SHOWN = 50


@ledger.command("verify")
def verify_ledger(
    journal: Journal = None,
    config: Config = None,
    against: Annotated[
        Path | None, typer.Option(help="The --json of an earlier verification: what ended there must still be there.")
    ] = None,
    json_out: JsonOut = None,
) -> None:
    """Name every record that was changed, is missing, lies out of its place or is there twice; exits with 1 then.

    What is cut off at the end of a chain shows against the store (with --config) or an earlier verification.
    """
    from deploy.ledger.work import Where, findings_json, verify

    check_writable(json_out)
    found = verify(Where.of(journal, config), against)
    console = Console(soft_wrap=True)
    for note in found.notes:
        console.print(note, markup=False)
    for fault in found.faults[:_SHOWN]:
        console.print(f"fault: {fault}", markup=False, style="bold red")
    if len(found.faults) > _SHOWN:
        console.print(f"... and {len(found.faults) - _SHOWN} more, all of them in --json")
    for end in found.ends:
        console.print(f"line {end.line}: ends with record {end.sequence}, {end.digest}")
    said = f"{len(found.faults)} faults" if found.faults else "every chain is whole"
    console.print(f"{found.records} records, {found.repeated} of them repeated: {said}.")
    write_json(json_out, findings_json(found))
    if found.faults:
        raise typer.Exit(UNSOUND)


@ledger.command("report")
def report_ledger(journal: Journal = None, config: Config = None, json_out: JsonOut = None) -> None:
    """Count parts by line, shift and product: parts in = passed + rejected + defaulted; exits with 1 where it is not.

    Shifts are those of the settings (`shifts`, `time_zone` of a line), without them days in UTC. With --config the
    announcements tell which parts came in; a journal holds decided parts alone.
    """
    from deploy.ledger.work import Where, tally

    check_writable(json_out)
    counted = tally(Where.of(journal, config))
    rows = counted.rows()
    names = ("line", "shift", *(["product"] if any(row.product for row in rows) else []))
    rare = [name for name in ("open", "undecided", "twice") if any(getattr(row, name) for row in rows)]
    figures = ("parts_in", "passed", "rejected", "defaulted", *rare)
    table = Table(show_edge=False)
    for name in names:
        table.add_column(name, no_wrap=True)
    for name in figures:
        table.add_column(name.replace("_", " "), justify="right")
    table.add_column("balances")
    for row in rows:
        cells = [str(getattr(row, name)) for name in (*names, *figures)]
        table.add_row(*cells, "yes" if row.balanced else "[bold red]NO[/]")
    Console().print(table)
    if counted.unreadable_records:
        Console().print(f"{counted.unreadable_records} records cannot be read: `linewarden ledger verify` names them.")
    write_json(json_out, {"rows": [row.to_json() for row in rows], "unreadable_records": counted.unreadable_records})
    if counted.unreadable_records or not all(row.balanced for row in rows):
        raise typer.Exit(UNSOUND)
