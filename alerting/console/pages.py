"""The pages for those who are signed in. What they change goes through the API."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from itertools import islice
from typing import Annotated, Any, Final

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from alerting.console.access import Admin, Parts, ReadLine, Somebody
from alerting.console.api_alerts import alerts_seen, deeds_seen
from alerting.console.api_lines import EntryId, PartId, find_part, neighbours
from alerting.console.api_users import audit_json, token_json, user_json
from alerting.console.filters import AlertFilter
from alerting.console.policy_work import PolicyWork
from alerting.console.rights import Permission
from alerting.console.schema import operations
from alerting.console.templating import Pages
from alerting.console.views import dot, part_json
from shared.alerts import Severity
from shared.domain import Outcome

router: Final = APIRouter(include_in_schema=False)
REASONS: Final = ("seen", "fitter called", "being cleaned", "false alarm")
_AUDIT: Final = 100
_ALERTS: Final = 200
_DETECTIONS: Final = 200


def _pages(request: Request) -> Pages:
    pages: Pages = request.app.state.pages
    return pages


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
    return _pages(request).render(request, "wall", principal, lines=lines)


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
    return _pages(request).render(
        request,
        "alerts",
        principal,
        lines=lines,
        cameras=sorted({camera.name for line in lines for camera in line.cameras}),
        severities=list(Severity),
        reasons=REASONS,
        wanted=wanted,
        alerts=[{**alert, "may_handle": principal.may(Permission.ALERTS, alert["line"])} for alert in found[:_ALERTS]],
        more_alerts=max(0, len(found) - _ALERTS),
        detections=list(islice(detections, _DETECTIONS)),
        deeds=await deeds_seen(context, principal, wanted.line),
    )


@router.get("/lines/{line}/part")
async def part(
    line: ReadLine, request: Request, context: Parts, principal: Somebody, *, part_id: PartId, entry: EntryId = ""
) -> HTMLResponse:
    """Show a part."""
    found = await find_part(context, line, part_id, entry)
    if found is None:
        raise HTTPException(404, "This part is not kept any more.")
    shown = part_json(found.id, found.value, line.time_zone)
    pictured = found.value.outcome is Outcome.REJECT
    return _pages(request).render(
        request,
        "part",
        principal,
        part=shown,
        pictured=pictured,
        neighbours=await neighbours(context, line, found.id),
        gate=line.gate.value,
    )


@router.get("/policy")
async def policies(request: Request, context: Parts, principal: Somebody) -> Response:
    """Show which lines there are, or the only one's policy."""
    names = [line.name for line in context.settings.lines if principal.may(Permission.READ, line.name)]
    if len(names) == 1:
        return RedirectResponse(f"/lines/{names[0]}/policy", 303)
    return _pages(request).render(request, "policies", principal, lines=names)


@router.get("/lines/{line}/policy")
async def policy(line: ReadLine, request: Request, context: Parts, principal: Somebody) -> HTMLResponse:
    """Show a line's policy, and let engineers change it."""
    return _pages(request).render(
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
    return _pages(request).render(
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
    return _pages(request).render(
        request, "api", principal, operations=operations(schema), title=schema["info"]["title"]
    )
