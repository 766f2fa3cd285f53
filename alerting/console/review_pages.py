"""The page of the review: the queue of what operators said, and what engineers make of it."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from alerting.console.access import Parts, Somebody
from alerting.console.api_review import cases_seen, steps_seen
from alerting.console.filters import ReviewFilter
from alerting.console.review_work import STANDINGS
from alerting.console.rights import Permission
from alerting.console.templating import pages_of
from shared.domain import Outcome
from shared.review import Standing

router: Final = APIRouter(include_in_schema=False)
ENDS: Final = {
    Standing.GOOD: ("1", "Good: for the bank", ("seen under the lens", "measured", "agreed with quality")),
    Standing.ESCAPE: ("2", "Escape: an evaluation case", ("seen under the lens", "measured", "agreed with quality")),
    Standing.DISMISSED: ("3", "Dismiss", ("rightly decided", "cannot be told", "wrong part")),
}
"""What engineers may make of a case: its key, its button, and the reasons that a key picks."""
_SHOWN: Final = 200


@router.get("/review")
async def review(
    request: Request, context: Parts, principal: Somebody, wanted: Annotated[ReviewFilter, Query()]
) -> HTMLResponse:
    """Show the queue, and who said what."""
    found = await cases_seen(context, principal, wanted.line, wanted.standing)
    counts = {text: sum(case["standing"] == standing for case in found) for standing, text in STANDINGS.items()}
    return pages_of(request).render(
        request,
        "review",
        principal,
        lines=[line.name for line in context.settings.lines if principal.may(Permission.READ, line.name)],
        wanted=wanted,
        standings=list(Standing),
        counts={text: count for text, count in counts.items() if count},
        cases=[
            {
                **case,
                "may": principal.may(Permission.CONFIRM, case["line"]),
                "ends": [end for end in ENDS if end is not Standing.ESCAPE or case["outcome"] == Outcome.PASS],
            }
            for case in found[:_SHOWN]
        ],
        more=max(0, len(found) - _SHOWN),
        ends=ENDS,
        steps=await steps_seen(context, principal, wanted.line),
    )
