"""Signing in and out, one-time links, and changing one's password: plain forms, which work without a script."""

from __future__ import annotations

import secrets
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from alerting.console.access import COOKIE, Parts, signed_in
from alerting.console.accounts import User
from alerting.console.context import Context
from alerting.console.login_guard import keys_of
from alerting.console.passwords import LONGEST, SHORTEST
from alerting.console.rights import Principal
from alerting.console.templating import Pages
from alerting.console.visitors import address_of, known_browser, remember_browser
from shared.errors import ConfigError
from shared.log import get_logger

router: Final = APIRouter(include_in_schema=False)
_FORM_COOKIE: Final = "linewarden_form"
_SHORT: Final = 64
_SPENT: Final = "This one-time password was used already, or is too old. Ask an admin for another one."
SignedIn = Annotated[Principal, Depends(signed_in)]
Word = Annotated[str, Form(max_length=LONGEST)]
Next = Annotated[str, Query(alias="next", max_length=1_000)]


@router.get("/sign-in")
async def sign_in_page(request: Request, context: Parts, next_path: Next = "/") -> Response:
    """Ask who is there."""
    return _sign_in_page(request, context, next_path)


@router.post("/sign-in")
async def sign_in(
    request: Request,
    context: Parts,
    *,
    name: Word = "",
    password: Word = "",
    form: Word = "",
    next_path: Annotated[str, Form(alias="next", max_length=1_000)] = "/",
) -> Response:
    """Let somebody in who knows their password, or say how long they have to wait."""
    sent = request.cookies.get(_FORM_COOKIE, "")
    if not sent or not secrets.compare_digest(sent.encode(), form.encode()):
        return _sign_in_page(request, context, next_path, "This page was out of date. Try again.", 403)
    name, address = name[:_SHORT], address_of(request, context)
    keys = keys_of(name, address, browser=await known_browser(request, context, name))
    wait_s = context.guard.wait_s(keys, context.clock.monotonic_ns())
    if wait_s > 0:
        text = f"Too many wrong passwords. Wait {wait_s:.0f} s."
        answer = _sign_in_page(request, context, next_path, text, 429)
        answer.headers["retry-after"] = f"{wait_s:.0f}"
        return answer
    # Counted before it is checked: guesses that are sent at the same time wait for each other, too.
    context.guard.failed(keys, context.clock.monotonic_ns())
    user = (await context.desk.accounts()).users.get(name)
    fits = await context.passwords.fits(password, "" if user is None else user.password_hash)
    if user is None or user.disabled or not fits:
        # To the log alone: nobody who is not known writes into the store.
        get_logger("console").warning("console.sign_in_refused", name=name, address=address)
        return _sign_in_page(request, context, next_path, "Name or password is wrong.", 401)
    context.guard.succeeded(keys)
    let_in = await context.desk.spend(name, user.password_hash)
    if let_in is None:
        return _sign_in_page(request, context, next_path, _SPENT, 401)
    await _note(context, name, f"signed in from {address}")
    answer = await _begin(context, let_in, _safe_path(next_path))
    await remember_browser(request, context, name, answer)
    return answer


@router.get("/link")
async def use_link(request: Request, context: Parts, key: Annotated[str, Query(max_length=100)] = "") -> Response:
    """Sign in by a one-time link: nobody guesses one of 256 bits, so that wrong ones are not counted."""
    user = await context.sessions.use_link(key)
    if user is None:
        return _sign_in_page(request, context, "/", "This link was used already, or is too old.", 401)
    await _note(context, user.name, f"signed in by a one-time link from {address_of(request, context)}")
    return await _begin(context, user, "/")


@router.post("/sign-out")
async def sign_out(context: Parts, principal: SignedIn) -> Response:
    """End the session."""
    await context.sessions.end(principal.session)
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=context.console.tls)
    return answer


@router.get("/password")
async def password_page(request: Request, principal: SignedIn) -> Response:
    """Ask for a new password."""
    return _password_page(request, principal)


@router.post("/password")
async def change_password(
    request: Request,
    context: Parts,
    principal: SignedIn,
    *,
    old: Word = "",
    new: Word = "",
    again: Word = "",
) -> Response:
    """Change one's own password; it is one's sign-in, and nobody else's, that goes on."""
    user = (await context.desk.accounts()).user(principal.name)
    keys = keys_of(user.name, "", browser=principal.session)
    wait_s = context.guard.wait_s(keys, context.clock.monotonic_ns())
    if wait_s > 0:
        return _password_page(request, principal, f"Too many wrong passwords. Wait {wait_s:.0f} s.", 429)
    context.guard.failed(keys, context.clock.monotonic_ns())
    if not await context.passwords.fits(old, user.password_hash):
        return _password_page(request, principal, "The old password is wrong.", 401)
    context.guard.succeeded(keys)
    if new != again:
        return _password_page(request, principal, "The new passwords differ.", 422)
    try:
        await context.desk.change_password(user.name, new)
    except ConfigError as error:
        return _password_page(request, principal, str(error), 422)
    await context.sessions.end(principal.session)
    return await _begin(context, (await context.desk.accounts()).user(user.name), "/")


async def _begin(context: Context, user: User, path: str) -> Response:
    cookie = await context.sessions.begin(user)
    answer = RedirectResponse("/password" if user.must_change else path, 303)
    # No time of its own: the session's end is the server's to say.
    answer.set_cookie(COOKIE, cookie, httponly=True, samesite="strict", secure=context.console.tls)
    answer.delete_cookie(_FORM_COOKIE)
    return answer


async def _note(context: Context, name: str, what: str) -> None:
    await context.audit.note_sign_in(name, what, at_ns=context.clock.utc_ns())


def _sign_in_page(request: Request, context: Context, next_path: str, problem: str = "", status: int = 200) -> Response:
    pages: Pages = request.app.state.pages
    form = secrets.token_urlsafe(32)
    answer = pages.render(
        request, "sign_in", None, status=status, form=form, next_path=_safe_path(next_path), problem=problem
    )
    answer.set_cookie(_FORM_COOKIE, form, httponly=True, samesite="strict", secure=context.console.tls, max_age=3_600)
    return answer


def _password_page(request: Request, principal: Principal, problem: str = "", status: int = 200) -> Response:
    pages: Pages = request.app.state.pages
    return pages.render(request, "password", principal, status=status, problem=problem, shortest=SHORTEST)


def _safe_path(path: str) -> str:
    """Return a path of this console; another site's address is none."""
    inside = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if inside and path.isascii() else "/"
