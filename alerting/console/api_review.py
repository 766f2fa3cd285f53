"""The API of the review: what operators say of parts, and what engineers make of it."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, HTTPException, Query

from alerting.console.access import ConfirmLine, Parts, ReadLine, ReviewLine, Somebody
from alerting.console.api_lines import PartId
from alerting.console.api_models import Confirm, SayWord, TakeBack
from alerting.console.context import Context
from alerting.console.review_work import ReviewWork
from alerting.console.rights import Permission, Principal
from shared.review import Standing

router: Final = APIRouter(prefix="/api/v1", tags=["review"])
_STEPS: Final = 100
LineFilter = Annotated[str, Query(max_length=64, description="Of this line alone.")]


@router.get("/review")
async def review(
    context: Parts, principal: Somebody, line: LineFilter = "", standing: Standing | None = None
) -> list[dict[str, Any]]:
    """Return the parts that somebody said something of: what is new first, then the newest."""
    return await cases_seen(context, principal, line, standing)


@router.get("/review/steps")
async def review_steps(context: Parts, principal: Somebody, line: LineFilter = "") -> list[dict[str, Any]]:
    """Return who said what of which part, when and why, newest first."""
    return await steps_seen(context, principal, line)


@router.get("/lines/{line}/review/case", responses={404: {"description": "Nobody said anything of it."}})
async def review_case(line: ReadLine, context: Parts, part_id: PartId) -> dict[str, Any]:
    """Return what was said of a part, oldest first, and where that stands."""
    found = await ReviewWork(context, line).case(part_id)
    if found is None:
        raise HTTPException(404, "Nobody said anything of this part.")
    return found


@router.post("/lines/{line}/review/say")
async def say(line: ReviewLine, wish: SayWord, context: Parts, principal: Somebody) -> dict[str, Any]:
    """Say of a part whether it was decided rightly; its evidence is kept on. Another word takes the place of this."""
    work = ReviewWork(context, line)
    return await work.say(wish.part_id, wish.said, by=principal, why=wish.reason, cameras=wish.cameras)


@router.post("/lines/{line}/review/take-back")
async def take_back(line: ReviewLine, wish: TakeBack, context: Parts, principal: Somebody) -> dict[str, Any]:
    """Take back one's own newest word, or as an engineer what one confirmed; what stood before stands again."""
    return await ReviewWork(context, line).take_back(wish.part_id, wish.step, by=principal)


@router.post("/lines/{line}/review/confirm")
async def confirm(line: ConfirmLine, wish: Confirm, context: Parts, principal: Somebody) -> dict[str, Any]:
    """Confirm a case as good, for the bank, or as an escape, for evaluation, or dismiss it: its evidence expires."""
    work = ReviewWork(context, line)
    standing = Standing(wish.standing)
    return await work.settle(wish.part_id, standing, by=principal, why=wish.reason, cameras=wish.cameras)


async def cases_seen(
    context: Context, principal: Principal, line: str = "", standing: Standing | None = None
) -> list[dict[str, Any]]:
    """Return the cases of the lines that somebody may see: what is new first, then the newest."""
    found = [
        case
        for one in context.settings.lines
        if principal.may(Permission.READ, one.name) and line in {"", one.name}
        for case in await ReviewWork(context, one).cases(standing)
    ]
    return sorted(found, key=lambda case: (case["standing"] != Standing.NEW, -case["steps"][-1]["at_ns"]))


async def steps_seen(context: Context, principal: Principal, line: str = "") -> list[dict[str, Any]]:
    """Return what was said on the lines that somebody may see, newest first."""
    found = [
        step
        for one in context.settings.lines
        if principal.may(Permission.READ, one.name) and line in {"", one.name}
        for step in await ReviewWork(context, one).history(newest=_STEPS)
    ]
    return sorted(found, key=lambda step: -step["at_ns"])[:_STEPS]
