"""The API of alerts: what stands, who did what, acknowledging and shelving."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query

from alerting.alerts.handling import acknowledge, shelve
from alerting.console.access import AlertsLine, Parts, Somebody
from alerting.console.api_models import Acknowledge, Shelve
from alerting.console.context import Context
from alerting.console.rights import Permission, Principal
from alerting.console.views import alert_json, deed_json
from shared.alerts import AlertState, Severity

router: Final = APIRouter(prefix="/api/v1", tags=["alerts"])
_DEEDS: Final = 100
_MINUTE_S: Final = 60
_PIECE: Final = 200


@router.get("/alerts")
async def alerts(
    context: Parts,
    principal: Somebody,
    *,
    line: Annotated[str, Query(max_length=64)] = "",
    subject: Annotated[str, Query(max_length=64, description="Of this camera alone.")] = "",
    severity: Severity | None = None,
    state: AlertState | None = None,
    detections: Annotated[bool | None, Query(description="Only what tells of parts, or only what does not.")] = None,
) -> list[dict[str, Any]]:
    """Return alerts, one for each thing that is wrong: what stands first, then the newest."""

    def wanted(alert: dict[str, Any]) -> bool:
        return (
            (not line or alert["line"] == line)
            and (not subject or alert["subject"] == subject)
            and (severity is None or alert["severity"] == severity)
            and (state is None or alert["state"] == state)
            and (detections is None or alert["detection"] is detections)
        )

    return await alerts_seen(context, principal, wanted)


@router.get("/alerts/deeds")
async def deeds(
    context: Parts, principal: Somebody, line: Annotated[str, Query(max_length=64)] = ""
) -> list[dict[str, Any]]:
    """Return who did what to alerts, when and why, newest first."""
    return await deeds_seen(context, principal, line)


@router.post("/lines/{line}/alerts/acknowledge")
async def acknowledge_alert(line: AlertsLine, wish: Acknowledge, context: Parts, principal: Somebody) -> dict[str, Any]:
    """Take an alert on: it is not escalated; when it is over and comes again, it is another one."""
    now_ns = context.clock.utc_ns()
    alert = await acknowledge(context.store, line.name, wish.key, who=principal.name, reason=wish.reason, at_ns=now_ns)
    return {"line": line.name, "key": alert.key, "who": principal.name}


@router.post("/lines/{line}/alerts/shelve")
async def shelve_alert(line: AlertsLine, wish: Shelve, context: Parts, principal: Somebody) -> dict[str, Any]:
    """Do not hear of an alert for a while; it still counts, and is listed."""
    await shelve(
        context.store,
        line.name,
        wish.key,
        cameras=[camera.name for camera in line.cameras],
        who=principal.name,
        reason=wish.reason,
        at_ns=context.clock.utc_ns(),
        duration_s=wish.minutes * _MINUTE_S,
    )
    return {"line": line.name, "key": wish.key, "minutes": wish.minutes, "who": principal.name}


async def alerts_seen(
    context: Context, principal: Principal, wanted: Callable[[dict[str, Any]], bool]
) -> list[dict[str, Any]]:
    """Return all alerts that somebody may see, and wants to: what stands first, then the newest."""
    await context.hub.fresh()
    found = []
    for name, follower in context.hub.lines.items():
        for index, row in enumerate(follower.alerts() if principal.may(Permission.READ, name) else ()):
            if index % _PIECE == _PIECE - 1:
                # What shares the event loop has its turn.
                await asyncio.sleep(0)
            alert = alert_json(name, row, follower.line.time_zone)
            if wanted(alert):
                found.append(alert)
    return sorted(found, key=lambda alert: (alert["state"] == AlertState.OVER, -alert["last_ns"]))


async def deeds_seen(context: Context, principal: Principal, line: str = "") -> list[dict[str, Any]]:
    """Return what was done to alerts that somebody may see, newest first."""
    found = [
        deed_json(one.name, deed, one.time_zone)
        for one in context.settings.lines
        if principal.may(Permission.READ, one.name) and (not line or one.name == line)
        for deed in await context.store.alert_deeds(one.name, newest=_DEEDS)
    ]
    return sorted(found, key=lambda deed: -deed["at_ns"])[:_DEEDS]
