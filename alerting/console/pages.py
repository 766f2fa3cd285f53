"""The pages for those who are signed in. What they change goes through the API."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from itertools import islice
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from alerting.console.access import Admin, Parts, ReadLine, Somebody
from alerting.console.api_alerts import alerts_seen, deeds_seen
from alerting.console.api_users import audit_json, token_json, user_json
from alerting.console.filters import AlertFilter
from alerting.console.policy_work import PolicyWork
from alerting.console.rights import Permission
from alerting.console.schema import operations
from alerting.console.templating import pages_of
from alerting.console.views import dot, part_json
from alerting.trends.pareto import Place
from shared.alerts import Severity

router: Final = APIRouter(include_in_schema=False)
REASONS: Final = ("seen", "fitter called", "being cleaned", "false alarm")
_AUDIT: Final = 100
_ALERTS: Final = 200
_DETECTIONS: Final = 200


@router.get("/")
async def wall(request: Request, context: Parts, principal: Somebody) -> HTMLResponse:
    """Show each line and camera."""
    await context.hub.fresh_or_away()
    lines = []
    for name, follower in context.hub.lines.items():
        if principal.may(Permission.READ, name):
            lines.append(
                {"card": context.hub.card(follower), "dots": [asdict(dot(entry)) for entry in follower.ribbon]}
            )
            # What shares the event loop has its turn.
            await asyncio.sleep(0)
    return pages_of(request).render(request, "wall", principal, lines=lines)


@router.get("/alerts")
async def alerts(
    request: Request, context: Parts, principal: Somebody, wanted: Annotated[AlertFilter, Query()]
) -> HTMLResponse:
    """Show what is wrong, and apart from it what was detected on parts."""
    lines = [line for line in context.settings.lines if principal.may(Permission.READ, line.name)]
    found = await alerts_seen(context, principal, lambda alert: not alert["detection"] and wanted.lets_alert(alert))
    detections = (
        part_json(entry.id, entry.value, line.time_zone)
        for line in lines
        if wanted.line in {"", line.name}
        for entry in reversed(context.hub.lines[line.name].rejects)
        if wanted.lets_part(entry.value)
    )
    return pages_of(request).render(
        request,
        "alerts",
        principal,
        lines=lines,
        cameras=sorted({camera.name for line in lines for camera in line.cameras}),
        severities=list(Severity),
        places=list(Place),
        reasons=REASONS,
        wanted=wanted,
        alerts=[{**alert, "may_handle": principal.may(Permission.ALERTS, alert["line"])} for alert in found[:_ALERTS]],
        more_alerts=max(0, len(found) - _ALERTS),
        detections=list(islice(detections, _DETECTIONS)),
        deeds=await deeds_seen(context, principal, wanted.line),
    )


@router.get("/policy")
async def policies(request: Request, context: Parts, principal: Somebody) -> Response:
    """Show which lines there are, or the only one's policy."""
    names = [line.name for line in context.settings.lines if principal.may(Permission.READ, line.name)]
    if len(names) == 1:
        return RedirectResponse(f"/lines/{names[0]}/policy", 303)
    return pages_of(request).render(request, "lines", principal, lines=names, of="policy", title="Policies")


@router.get("/lines/{line}/policy")
async def policy(line: ReadLine, request: Request, context: Parts, principal: Somebody) -> HTMLResponse:
    """Show a line's policy, and let engineers change it."""
    return pages_of(request).render(
        request,
        "policy",
        principal,
        standing=await PolicyWork(context, line).to_json(),
        may_change=principal.may(Permission.POLICY, line.name),
        may_resume=principal.may(Permission.ALERTS, line.name),
    )


@router.get("/admin")
async def admin(request: Request, context: Parts, principal: Admin) -> HTMLResponse:
    """Show users, tokens and the audit."""
    accounts = await context.desk.accounts()
    return pages_of(request).render(
        request,
        "admin",
        principal,
        users=[user_json(user) for _name, user in sorted(accounts.users.items())],
        tokens=[token_json(token) for token in sorted(accounts.tokens.values(), key=lambda one: -one.created_ns)],
        audit=[audit_json(entry) for entry in await context.audit.newest(_AUDIT)],
        scopes=list(Permission),
    )


@router.get("/api")
async def api(request: Request, principal: Somebody) -> HTMLResponse:
    """Show the API, from its schema."""
    schema: dict[str, Any] = request.app.openapi()
    return pages_of(request).render(
        request, "api", principal, operations=operations(schema), title=schema["info"]["title"]
    )
