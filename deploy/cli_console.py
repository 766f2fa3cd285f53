"""The command line's console: `linewarden console users|tokens|audit`."""

from __future__ import annotations

import asyncio
import getpass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deploy.cli_options import JsonOut, check_writable, write_json
from deploy.model_making import needs_extra

console = typer.Typer(
    help="Who may use the operators' console, and the programs that may. `run --role console` serves its pages.",
    no_args_is_help=True,
)
users = typer.Typer(help="Users of the console.", no_args_is_help=True)
tokens = typer.Typer(help="Tokens of the console's API.", no_args_is_help=True)
console.add_typer(users, name="users")
console.add_typer(tokens, name="tokens")

Config = Annotated[Path, typer.Option("--config", help="The line's settings, a TOML file.")]
Name = Annotated[str, typer.Argument(help="The user's name.")]
Roles = Annotated[
    str, typer.Option("--role", help="viewer, operator, engineer or admin; by line as line-1=operator,*=viewer.")
]
By = Annotated[str | None, typer.Option("--by", help="Who does it, instead of the user of this system.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@users.command("list")
def list_users(config: Config, json_out: JsonOut = None) -> None:
    """Show all users and what they may."""
    with needs_extra("console"):
        from deploy.console_work import users_of
    check_writable(json_out)
    _show(asyncio.run(users_of(config)), ("name", "roles", "disabled", "must_change", "created"), json_out)


@users.command("add")
def add_user(name: Name, config: Config, role: Roles, by: By = None) -> None:
    """Make a user, and print the one-time password that they change at their first sign-in."""
    with needs_extra("console"):
        from deploy.console_work import add_user as add
    _once(f"One-time password of {name}", asyncio.run(add(config, name, role, by=_by(by))))


@users.command("role")
def set_roles(name: Name, config: Config, role: Roles, by: By = None) -> None:
    """Give a user other roles."""
    with needs_extra("console"):
        from deploy.console_work import set_roles as give
    asyncio.run(give(config, name, role, by=_by(by)))
    Console().print(f"{name} is {role} now.", markup=False)


@users.command("password")
def reset_password(name: Name, config: Config, by: By = None) -> None:
    """End a user's sessions and print a one-time password: for whoever forgot theirs, or lost the first one."""
    with needs_extra("console"):
        from deploy.console_work import reset_password as reset
    _once(f"One-time password of {name}", asyncio.run(reset(config, name, by=_by(by))))


@users.command("disable")
def disable_user(name: Name, config: Config, by: By = None) -> None:
    """Keep a user out, at once and everywhere."""
    with needs_extra("console"):
        from deploy.console_work import set_disabled
    asyncio.run(set_disabled(config, name, disabled=True, by=_by(by)))
    Console().print(f"{name} is kept out.", markup=False)


@users.command("enable")
def enable_user(name: Name, config: Config, by: By = None) -> None:
    """Let a user in again."""
    with needs_extra("console"):
        from deploy.console_work import set_disabled
    asyncio.run(set_disabled(config, name, disabled=False, by=_by(by)))
    Console().print(f"{name} is let in again.", markup=False)


@users.command("remove")
def remove_user(name: Name, config: Config, by: By = None, *, yes: Yes = False) -> None:
    """Remove a user with their tokens."""
    with needs_extra("console"):
        from deploy.console_work import remove_user as remove
    if not yes:
        typer.confirm(f"Remove {name} for good?", abort=True)
    asyncio.run(remove(config, name, by=_by(by)))
    Console().print(f"{name} is removed.", markup=False)


@tokens.command("list")
def list_tokens(config: Config, json_out: JsonOut = None) -> None:
    """Show all tokens; the secrets themselves are kept nowhere."""
    with needs_extra("console"):
        from deploy.console_work import tokens_of
    check_writable(json_out)
    _show(asyncio.run(tokens_of(config)), ("id", "owner", "scopes", "what_for", "created", "expires"), json_out)


@tokens.command("add")
def add_token(
    owner: Annotated[str, typer.Argument(help="The user that the program acts for: it may what they may.")],
    config: Config,
    scope: Annotated[list[str], typer.Option(help="read, alerts, policy or users; several times for several.")],
    purpose: Annotated[str, typer.Option("--for", help="What it is for.")],
    days: Annotated[int | None, typer.Option(help="How long it lasts; until it is revoked without.", min=1)] = None,
    by: By = None,
) -> None:
    """Make a token, and print it: it is never to be had again."""
    with needs_extra("console"):
        from deploy.console_work import add_token as add
    token_id, secret = asyncio.run(add(config, owner, scope, purpose, days=days, by=_by(by)))
    _once(f"Token {token_id} of {owner}", secret)


@tokens.command("revoke")
def revoke_token(
    token: Annotated[str, typer.Argument(help="The token's id, as `list` shows it.")], config: Config, by: By = None
) -> None:
    """End a token."""
    with needs_extra("console"):
        from deploy.console_work import revoke_token as revoke
    asyncio.run(revoke(config, token, by=_by(by)))
    Console().print(f"Token {token} is revoked.", markup=False)


@console.command("audit")
def show_audit(
    config: Config,
    newest: Annotated[int, typer.Option(help="How many entries.", min=1)] = 50,
    json_out: JsonOut = None,
) -> None:
    """Show who did what to users and tokens, and who signed in."""
    with needs_extra("console"):
        from deploy.console_work import audit_of
    check_writable(json_out)
    _show(asyncio.run(audit_of(config, newest)), ("at", "who", "what", "subject", "old", "new", "why"), json_out)


def _by(name: str | None) -> str:
    return name or getpass.getuser()


def _once(what: str, secret: str) -> None:
    # Not by rich: nothing may wrap, colour or cut a secret.
    typer.echo(f"{what}, shown this once: {secret}")


def _show(rows: list[dict[str, object]], columns: tuple[str, ...], json_out: Path | None) -> None:
    table = Table(show_edge=False)
    for name in columns:
        table.add_column(name)
    for row in rows:
        table.add_row(*(escape(_text(row[name])) for name in columns))
    Console().print(table)
    write_json(json_out, rows)


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
