"""Who asks, and whether they may: what every page and every call of the API goes through first."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Annotated, Final

from fastapi import Depends, HTTPException, Path, Request

from alerting.console.context import Context
from alerting.console.rights import Permission, Principal
from shared.settings import LineSettings

COOKIE: Final = "linewarden_session"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_BEARER: Final = "bearer "


class NotSignedInError(Exception):
    """Nobody is signed in: pages lead to the sign-in, the API says 401."""


class PasswordDueError(Exception):
    """A one-time password has to be changed before anything else."""


def context_of(request: Request) -> Context:
    """Return the console's parts."""
    context: Context = request.app.state.context
    return context


Parts = Annotated[Context, Depends(context_of)]


async def signed_in(request: Request, context: Parts) -> Principal:
    """Return who asks, by session or token, though it may be that their password has to be changed first."""
    principal = await find_principal(request, context)
    if principal is None:
        raise NotSignedInError
    if principal.csrf and request.method not in _SAFE:
        sent = request.headers.get("x-csrf-token") or await _form_field(request, "csrf")
        if not secrets.compare_digest(sent.encode(), principal.csrf.encode()):
            raise HTTPException(403, "This page is out of date. Load it again, and repeat what you did.")
    return principal


async def find_principal(request: Request, context: Context) -> Principal | None:
    """Return who asks; None for nobody known. A token that does not count is not made up for by a session."""
    authorization = request.headers.get("authorization", "")
    if authorization:
        secret = authorization[len(_BEARER) :].strip() if authorization.lower().startswith(_BEARER) else ""
        return await context.desk.principal_of(secret)
    cookie = request.cookies.get(COOKIE)
    return await context.sessions.principal(cookie) if cookie else None


async def somebody(principal: Annotated[Principal, Depends(signed_in)]) -> Principal:
    """Return who asks, once their password is their own."""
    if principal.must_change_password:
        raise PasswordDueError
    return principal


Somebody = Annotated[Principal, Depends(somebody)]


async def admin(principal: Somebody) -> Principal:
    """Return who asks, if they may change users."""
    if not principal.may_administer():
        raise HTTPException(403, "This is for admins.")
    return principal


Admin = Annotated[Principal, Depends(admin)]
LineName = Annotated[str, Path(max_length=64, description="A line's name, as the settings have it.")]


def line_for(permission: Permission) -> Callable[[str, Context, Principal], Awaitable[LineSettings]]:
    """Return what finds a line and lets only those on who may: a line without any right is not there at all."""

    async def find(line: LineName, context: Parts, principal: Somebody) -> LineSettings:
        found = context.line(line)
        if found is None or principal.role_on(line) is None:
            raise HTTPException(404, "There is no such line.")
        if not principal.may(permission, line):
            raise HTTPException(403, f"This takes the role {permission.needs} on the line, and for a token the scope.")
        return found

    return find


ReadLine = Annotated[LineSettings, Depends(line_for(Permission.READ))]
AlertsLine = Annotated[LineSettings, Depends(line_for(Permission.ALERTS))]
ReviewLine = Annotated[LineSettings, Depends(line_for(Permission.REVIEW))]
ConfirmLine = Annotated[LineSettings, Depends(line_for(Permission.CONFIRM))]
PolicyLine = Annotated[LineSettings, Depends(line_for(Permission.POLICY))]


async def _form_field(request: Request, name: str) -> str:
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return ""
    value = (await request.form()).get(name)
    return value if isinstance(value, str) else ""
