"""The console's web application: pages and API, with the same checks before both."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from alerting.console import (
    api_alerts,
    api_evidence,
    api_lines,
    api_policy,
    api_review,
    api_trends,
    api_users,
    pages,
    part_pages,
    review_pages,
    sign_in,
    trends_pages,
)
from alerting.console.access import NotSignedInError, PasswordDueError, Somebody
from alerting.console.context import Context
from alerting.console.shield import Shield
from alerting.console.templating import Pages
from shared.errors import BusError, ConfigError, StoreError, StoreUnavailableError
from shared.log import get_logger

_API: Final = "/api/"
_ROUTED: Final = (
    *(api_lines, api_evidence, api_review, api_trends, api_alerts, api_policy, api_users),
    *(sign_in, pages, part_pages, review_pages, trends_pages),
)
_SHOWN: Final = 3


def make_app(context: Context) -> FastAPI:
    """Return the application."""
    app = FastAPI(
        title="linewarden console",
        version="1",
        description="All that the console's pages do. Sign in, or send a token as `Authorization: Bearer lwt_...`.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    app.state.context = context
    app.state.pages = Pages()
    for part in _ROUTED:
        app.include_router(part.router)

    @app.get("/api/openapi.json", include_in_schema=False)
    async def openapi(_: Somebody) -> dict[str, Any]:
        """Return the API's schema."""
        return app.openapi()

    app.mount("/static", StaticFiles(packages=[("alerting.console", "static")]), name="static")
    app.exception_handler(NotSignedInError)(_not_signed_in)
    app.exception_handler(PasswordDueError)(_password_due)
    app.exception_handler(ConfigError)(_refused)
    app.exception_handler(StoreError)(_store_away)
    app.exception_handler(BusError)(_ledger_away)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(HTTPException)(_http_error)
    app.add_middleware(Shield, tls=context.console.tls)
    return app


async def _not_signed_in(request: Request, _error: Exception) -> Response:
    if request.url.path.startswith(_API):
        return JSONResponse({"error": "Sign in, or send a token."}, 401, {"www-authenticate": "Bearer"})
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse("/sign-in?next=" + quote(wanted if request.method == "GET" else "/", safe=""), 303)


async def _password_due(request: Request, _error: Exception) -> Response:
    if request.url.path.startswith(_API):
        return JSONResponse({"error": "Change your one-time password first."}, 403)
    return RedirectResponse("/password", 303)


async def _refused(request: Request, error: Exception) -> Response:
    return _told(request, 422, str(error))


async def _store_away(request: Request, error: Exception) -> Response:
    # The sentence may hold an address: that is for the log alone.
    if not isinstance(error, StoreUnavailableError):
        get_logger("console").warning("store.refused", error=str(error))
        return _told(request, 503, "The store holds something that this console cannot read. Its log says more.")
    get_logger("console").warning("store.away", error=str(error))
    return _told(request, 503, "The store does not answer. Nothing is lost: try again in a moment.")


async def _ledger_away(request: Request, error: Exception) -> Response:
    get_logger("console").warning("ledger.away", error=str(error))
    return _told(request, 503, "The ledger on the bus does not answer. The shift can be read all the same.")


async def _invalid(request: Request, error: RequestValidationError) -> Response:
    first = error.errors()[0]
    where = ".".join(str(step) for step in first["loc"][:_SHOWN])
    return _told(request, 422, f"{where}: {first['msg']}")


async def _http_error(request: Request, error: HTTPException) -> Response:
    return _told(request, error.status_code, str(error.detail), dict(error.headers or {}))


def _told(request: Request, status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    if request.url.path.startswith(_API):
        return JSONResponse({"error": text}, status, headers)
    templates: Pages = request.app.state.pages
    answer = templates.render(request, "error", None, status=status, text=text, status_code=status)
    answer.headers.update(headers or {})
    return answer
