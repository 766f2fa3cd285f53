"""What holds for every request and answer, failures too: headers that keep others out, and bounds on what is taken."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.log import get_logger

MOST_BYTES: Final = 64 * 1024
_TOO_LARGE: Final = f"At most {MOST_BYTES} bytes are taken."
_FAILED: Final = "The console failed at this. Its log says where."
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
_STATIC: Final = "/static/"
_YEAR_S: Final = 365 * 86_400


class Shield:
    """Refuses changes that another site's page asks for, and bodies that are too large; sets the headers."""

    def __init__(self, app: ASGIApp, *, tls: bool) -> None:
        self._app = app
        self._headers = dict(_HEADERS)
        if tls:
            self._headers["strict-transport-security"] = f"max-age={_YEAR_S}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        started = False

        async def sealed(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                answer = MutableHeaders(scope=message)
                answer.update(self._headers)
                # What belongs to the package is the same for everybody, and asked for again all the same.
                static = scope["path"].startswith(_STATIC)
                answer.setdefault("cache-control", "no-cache" if static else "no-store")
            await send(message)

        refusal = _refusal(scope["method"], headers)
        if refusal is not None:
            await refusal(scope, receive, sealed)
            return
        taken = 0

        async def bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MOST_BYTES:
                raise HTTPException(413, _TOO_LARGE)
            return message

        try:
            await self._app(scope, bounded, sealed)
        except Exception:
            get_logger("console").exception("console.error", method=scope["method"], path=scope["path"])
            if started:
                raise
            await JSONResponse({"error": _FAILED}, 500)(scope, receive, sealed)


def _refusal(method: str, headers: Headers) -> JSONResponse | None:
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > MOST_BYTES:
        return JSONResponse({"error": _TOO_LARGE}, 413)
    if method in _SAFE:
        return None
    # A form of our own says "null", since our pages send no referrer; browsers tell the site apart only where it is
    # HTTPS or this host. What tells nothing is left to the token that every change carries.
    origin = headers.get("origin", "null")
    foreign = origin != "null" and urlsplit(origin).netloc != headers.get("host")
    if foreign or headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        return JSONResponse({"error": "Another site's page asked for this."}, 403)
    return None
