"""The work behind `linewarden console`: open the store, and do it there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from alerting.console.api_users import audit_json, token_json, user_json
from alerting.console.context import Context, make_context
from alerting.console.rights import roles_from, scopes_from
from deploy.adapters import make_store
from shared.clock import SystemClock
from shared.errors import ConfigError
from shared.settings import load


async def users_of(config: Path) -> list[dict[str, Any]]:
    """Return all users."""
    async with _console(config) as console:
        return [user_json(user) for _, user in sorted((await console.desk.accounts()).users.items())]


async def add_user(config: Path, name: str, roles: str, *, by: str) -> str:
    """Make a user; return the one-time password."""
    async with _console(config) as console:
        return await console.desk.add_user(name, roles_from(roles), by=by)


async def set_roles(config: Path, name: str, roles: str, *, by: str) -> None:
    """Give a user other roles."""
    async with _console(config) as console:
        await console.desk.set_roles(name, roles_from(roles), by=by)


async def reset_password(config: Path, name: str, *, by: str) -> str:
    """Return a new one-time password."""
    async with _console(config) as console:
        return await console.desk.reset_password(name, by=by)


async def set_disabled(config: Path, name: str, *, disabled: bool, by: str) -> None:
    """Keep a user out, or let them in."""
    async with _console(config) as console:
        await console.desk.set_disabled(name, disabled=disabled, by=by)


async def remove_user(config: Path, name: str, *, by: str) -> None:
    """Remove a user."""
    async with _console(config) as console:
        await console.desk.remove_user(name, by=by)


async def tokens_of(config: Path) -> list[dict[str, Any]]:
    """Return all tokens, newest first."""
    async with _console(config) as console:
        found = (await console.desk.accounts()).tokens.values()
        return [token_json(token) for token in sorted(found, key=lambda one: -one.created_ns)]


async def add_token(
    config: Path, owner: str, scopes: list[str], what_for: str, *, days: int | None, by: str
) -> tuple[str, str]:
    """Make a token; return its id and the secret."""
    async with _console(config) as console:
        secret, token = await console.desk.add_token(owner, scopes_from(scopes), what_for, days=days, by=by)
        return token.id, secret


async def revoke_token(config: Path, token_id: str, *, by: str) -> None:
    """End a token."""
    async with _console(config) as console:
        await console.desk.revoke_token(token_id, by=by)


async def audit_of(config: Path, newest: int) -> list[dict[str, Any]]:
    """Return the newest deeds."""
    async with _console(config) as console:
        return [audit_json(entry) for entry in await console.audit.newest(newest)]


@asynccontextmanager
async def _console(config: Path) -> AsyncIterator[Context]:
    settings = load(config)
    if settings.store.embedded:
        raise ConfigError(
            "the store memory:// lives in the process that runs the line", "Use redis://, or the console's admin page."
        )
    store = make_store(settings)
    try:
        yield make_context(settings, store=store, clock=SystemClock())
    finally:
        await store.close()
