"""The command line's alerts: `linewarden alerts list|ack|shelve`."""

from __future__ import annotations

import asyncio
import getpass
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from alerting.alerts.handling import LONGEST_SHELF_S
from deploy.cli_options import JsonOut, check_writable, write_json
from shared.alerts import AlertState, Severity
from shared.clock import NS_PER_S
from shared.errors import ConfigError

alerts = typer.Typer(
    help="What stands on each line, who has taken it on and why, and what nobody wants to hear of for a while.",
    no_args_is_help=True,
)

Config = Annotated[Path, typer.Option("--config", help="The line's settings, a TOML file.")]
Line = Annotated[str, typer.Option("--line", help="Which line.")]
Key = Annotated[str, typer.Argument(help="The alert, as `list` names it, such as CAMERA_OFFLINE/left.")]
Reason = Annotated[str, typer.Option("--reason", help="Why.")]
Who = Annotated[str | None, typer.Option("--who", help="Who you are; without it the name of your login.")]
_UNITS_S = {"m": 60, "h": 3_600}
_COLOURS = {Severity.CRITICAL: "bold red", Severity.WARNING: "yellow", Severity.INFO: ""}


@alerts.command("list")
def list_alerts(
    config: Config,
    everything: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
    json_out: JsonOut = None,
) -> None:
    """Show what stands, the most severe first."""
    from deploy.alert_work import standing

    check_writable(json_out)
    found = [row for row in asyncio.run(standing(config)) if everything or row.state is not AlertState.OVER]
    table = Table(show_edge=False)
    for name in ("line", "alert", "state", "times", "since", "what"):
        table.add_column(name)
    for row in found:
        alert = row.alert
        since = datetime.fromtimestamp(alert.first_ns / NS_PER_S, UTC).strftime("%m-%d %H:%M:%S")
        state = row.state.value if row.deed is None else f"{row.state.value} by {row.deed.who}: {row.deed.reason}"
        cells = (alert.line, alert.key, state, str(alert.count), since, alert.text)
        table.add_row(*map(escape, cells), style=_COLOURS[alert.severity])
    Console().print(table)
    write_json(json_out, [row.to_json() for row in found])


@alerts.command("ack")
def acknowledge_alert(key: Key, config: Config, line: Line, reason: Reason, who: Who = None) -> None:
    """Take an alert on: it is not escalated; when it is over and comes again, it is another one."""
    from deploy.alert_work import acknowledge

    alert = asyncio.run(acknowledge(config, line, key, who=_who(who), reason=_given(reason, "reason")))
    Console().print(f"Acknowledged: {alert.key} of line {line}: {alert.text}", markup=False)


@alerts.command("shelve")
def shelve_alert(
    key: Key,
    config: Config,
    line: Line,
    reason: Reason,
    duration: Annotated[str, typer.Option("--for", help="How long, such as 30m or 8h; 24h at most, 0m ends it.")],
    who: Who = None,
) -> None:
    """Do not hear of an alert for a while, also of one that does not stand yet; it still counts, and is listed."""
    from deploy.alert_work import shelve

    duration_s = _seconds(duration)
    asyncio.run(shelve(config, line, key, who=_who(who), reason=_given(reason, "reason"), duration_s=duration_s))
    Console().print(f"Shelved for {duration}: {key} of line {line}." if duration_s else f"No longer shelved: {key}.")


def _who(name: str | None) -> str:
    try:
        return _given(name or getpass.getuser(), "who")
    except (KeyError, OSError):
        raise ConfigError("nobody knows who you are", "Give --who NAME.") from None


def _given(text: str, option: str) -> str:
    if not text.strip():
        raise ConfigError(f"--{option} is empty", "Say it in a few words: it is kept with the alert.")
    return text.strip()


def _seconds(text: str) -> int:
    found = re.fullmatch(r"(\d{1,4})([mh])", text)
    seconds = int(found[1]) * _UNITS_S[found[2]] if found else -1
    if not 0 <= seconds <= LONGEST_SHELF_S:
        raise ConfigError(f"--for {text!r} is no time up to 24h", "Write 30m or 8h: a shelf always has an end.")
    return seconds
