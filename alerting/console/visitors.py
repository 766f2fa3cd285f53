"""From where somebody asks, and whether their browser is one that its user signed in with before."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from alerting.console.context import Context
from alerting.console.passwords import fingerprint, new_secret

COOKIE: Final = "linewarden_known"
_DAYS: Final = 90
_TTL_S: Final = _DAYS * 86_400
_MOST_HOPS: Final = 20


def address_of(request: Request, context: Context) -> str:
    """Return the address that somebody asks from, as far as it can be trusted."""
    peer = request.client.host if request.client else ""
    forwarded = ",".join(request.headers.getlist("x-forwarded-for"))
    return visitor(peer, forwarded, context.console.trusted_proxies)


def visitor(peer: str, forwarded: str, trusted: Sequence[IPv4Network | IPv6Network]) -> str:
    """Return who is behind the trusted proxies: each names who asked it, and whatever stood there before is hearsay."""
    hops = [peer, *reversed([hop.strip() for hop in forwarded.split(",") if hop.strip()][-_MOST_HOPS:])]
    known = peer
    for hop in hops:
        try:
            address = ip_address(hop)
        except ValueError:
            return known
        known = str(address)
        if not any(address in network for network in trusted):
            return known
    return known


async def known_browser(request: Request, context: Context, user: str) -> str:
    """Return the fingerprint of a browser that this user signed in with before, and nothing for any other."""
    cookie = request.cookies.get(COOKIE, "")
    if not cookie or await context.store.held(_key(cookie)) != user.encode():
        return ""
    return fingerprint(cookie)


async def remember_browser(request: Request, context: Context, user: str, answer: Response) -> None:
    """Know a browser again with which a user has signed in by their password; raises StoreError."""
    cookie = request.cookies.get(COOKIE, "")
    if not await known_browser(request, context, user):
        cookie = new_secret()
    await context.store.hold(_key(cookie), user.encode(), ttl_s=_TTL_S)
    answer.set_cookie(COOKIE, cookie, httponly=True, samesite="strict", secure=context.console.tls, max_age=_TTL_S)


def _key(cookie: str) -> str:
    return f"console-browser.{fingerprint(cookie)}"
