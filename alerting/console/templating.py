"""The console's pages are Jinja templates of this package, with everything escaped."""

from __future__ import annotations

from typing import Any, Final

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from alerting.console.rights import Permission, Principal

PAGES: Final = (
    ("wall", "/", "Wall"),
    ("alerts", "/alerts", "Alerts"),
    ("review", "/review", "Review"),
    ("trends", "/trends", "Trends"),
    ("policy", "/policy", "Policy"),
    ("api", "/api", "API"),
)
ADMIN_PAGE: Final = ("admin", "/admin", "Admin")


class Pages:
    """Renders pages."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=PackageLoader("alerting.console"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        # Compiled at the start, not while a gate beside it waits for the first page.
        for name in self._templates.list_templates():
            self._templates.get_template(name)

    def render(
        self,
        request: Request,
        name: str,
        principal: Principal | None,
        *,
        status: int = 200,
        **values: Any,  # noqa: ANN401
    ) -> HTMLResponse:
        """Return a page for somebody, or for nobody known."""
        nav = list(PAGES) if principal is not None and not principal.must_change_password else []
        if principal is not None and nav and principal.may_administer():
            nav.append(ADMIN_PAGE)
        text = self._templates.get_template(f"{name}.html.jinja").render(
            page=name, principal=principal, nav=nav, path=request.url.path, Permission=Permission, **values
        )
        return HTMLResponse(text, status)


def pages_of(request: Request) -> Pages:
    """Return what renders the console's pages."""
    pages: Pages = request.app.state.pages
    return pages
