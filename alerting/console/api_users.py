"""The API of users, tokens and the audit, for admins of all lines."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, HTTPException, Path, Query

from alerting.console.access import Admin, Parts
from alerting.console.accounts import ApiToken, User
from alerting.console.api_models import NewToken, NewUser, UserChange
from alerting.console.audit import AuditEntry
from alerting.console.rights import roles_from, roles_text
from alerting.console.views import clock_text

router: Final = APIRouter(prefix="/api/v1", tags=["admin"])
Name = Annotated[str, Path(max_length=64)]


@router.get("/users")
async def users(context: Parts, _: Admin) -> list[dict[str, Any]]:
    """Return all users, without anything secret."""
    return [user_json(user) for _name, user in sorted((await context.desk.accounts()).users.items())]


@router.post("/users", status_code=201)
async def add_user(wish: NewUser, context: Parts, principal: Admin) -> dict[str, Any]:
    """Make a user. The one-time password is shown here, and never again."""
    password = await context.desk.add_user(wish.name, roles_from(wish.roles), by=principal.name)
    return {"name": wish.name, "one_time_password": password}


@router.patch("/users/{name}")
async def change_user(name: Name, wish: UserChange, context: Parts, principal: Admin) -> dict[str, Any]:
    """Change a user's roles, or keep them out."""
    if wish.roles is not None:
        await context.desk.set_roles(name, roles_from(wish.roles), by=principal.name)
    if wish.disabled is not None:
        await context.desk.set_disabled(name, disabled=wish.disabled, by=principal.name)
    return user_json((await context.desk.accounts()).user(name))


@router.post("/users/{name}/password")
async def reset_password(name: Name, context: Parts, principal: Admin) -> dict[str, Any]:
    """End a user's sessions and give them a one-time password, which is shown here and never again."""
    return {"name": name, "one_time_password": await context.desk.reset_password(name, by=principal.name)}


@router.delete("/users/{name}")
async def remove_user(name: Name, context: Parts, principal: Admin) -> dict[str, Any]:
    """Remove a user with their tokens."""
    if name == principal.name:
        raise HTTPException(403, "Nobody removes themselves: another admin can.")
    await context.desk.remove_user(name, by=principal.name)
    return {"name": name}


@router.get("/tokens")
async def tokens(context: Parts, _: Admin) -> list[dict[str, Any]]:
    """Return all tokens, without anything secret."""
    found = (await context.desk.accounts()).tokens.values()
    return [token_json(token) for token in sorted(found, key=lambda one: -one.created_ns)]


@router.post("/tokens", status_code=201)
async def add_token(wish: NewToken, context: Parts, principal: Admin) -> dict[str, Any]:
    """Make a token. It is shown here, and never again."""
    secret, token = await context.desk.add_token(
        wish.owner, frozenset(wish.scopes), wish.what_for, days=wish.days, by=principal.name
    )
    return {**token_json(token), "token": secret}


@router.delete("/tokens/{token_id}")
async def revoke_token(token_id: Name, context: Parts, principal: Admin) -> dict[str, Any]:
    """End a token."""
    await context.desk.revoke_token(token_id, by=principal.name)
    return {"id": token_id}


@router.get("/audit")
async def audit(context: Parts, _: Admin, most: Annotated[int, Query(ge=1, le=1_000)] = 200) -> list[dict[str, Any]]:
    """Return who did what to users and tokens, and who signed in, at most `most` of each, newest first."""
    return [audit_json(entry) for entry in await context.audit.newest(most)]


def user_json(user: User) -> dict[str, Any]:
    """Return a user without anything secret."""
    return {
        "name": user.name,
        "roles": roles_text(user.roles),
        "disabled": user.disabled,
        "must_change": user.must_change,
        "created": clock_text(user.created_ns),
    }


def token_json(token: ApiToken) -> dict[str, Any]:
    """Return a token without anything secret."""
    return {
        "id": token.id,
        "owner": token.owner,
        "scopes": sorted(token.scopes),
        "what_for": token.what_for,
        "created": clock_text(token.created_ns),
        "expires": clock_text(token.expires_ns),
    }


def audit_json(entry: AuditEntry) -> dict[str, Any]:
    """Return a deed."""
    return {
        "number": entry.number,
        "at": clock_text(entry.at_ns),
        "who": entry.who,
        "what": entry.what,
        "subject": entry.subject,
        "old": entry.old,
        "new": entry.new,
        "why": entry.why,
    }
