"""The API of lines' policies."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter

from alerting.console.access import AlertsLine, Parts, PolicyLine, ReadLine, Somebody
from alerting.console.api_models import PolicyChanges, Resume, SetPolicy, UndoPolicy
from alerting.console.policy_work import PolicyWork
from shared.policy_record import PolicyChange, differences

router: Final = APIRouter(prefix="/api/v1/lines/{line}", tags=["policy"])


@router.get("/policy")
async def policy(line: ReadLine, context: Parts) -> dict[str, Any]:
    """Return the policy that stands, its changes, newest first, and whether the line is halted."""
    return await PolicyWork(context, line).to_json()


@router.post("/policy/preview")
async def preview_policy(line: PolicyLine, wish: PolicyChanges, context: Parts) -> dict[str, Any]:
    """Say what a change would have made of the parts that were recorded last; it changes nothing."""
    return await PolicyWork(context, line).previewed(wish.changes)


@router.post("/policy")
async def set_policy(line: PolicyLine, wish: SetPolicy, context: Parts, principal: Somebody) -> dict[str, Any]:
    """Change the policy; a running line judges by it within a second."""
    work = PolicyWork(context, line)
    return _changed(await work.change(wish.changes, version=wish.version, by=principal.name, why=wish.reason))


@router.post("/policy/undo")
async def undo_policy(line: PolicyLine, wish: UndoPolicy, context: Parts, principal: Somebody) -> dict[str, Any]:
    """Put back what stood before the newest change: that is a change of its own."""
    work = PolicyWork(context, line)
    return _changed(await work.undo(version=wish.version, by=principal.name, why=wish.reason))


@router.post("/resume")
async def resume(line: AlertsLine, wish: Resume, context: Parts, principal: Somebody) -> dict[str, Any]:
    """Let a halted line go on."""
    done = await PolicyWork(context, line).resume(by=principal.name, why=wish.reason)
    return {"line": line.name, "resumed": done}


def _changed(change: PolicyChange) -> dict[str, Any]:
    return {"line": change.line, "version": change.version, "what": differences(change)}
