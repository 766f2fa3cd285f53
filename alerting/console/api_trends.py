"""The API of a line's trends."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query

from alerting.console.access import Parts, ReadLine

router: Final = APIRouter(prefix="/api/v1/lines/{line}", tags=["trends"])
Since = Annotated[
    str,
    Query(
        pattern=r"^([0-9]{1,6}[mhd])?$",
        description="The last 90m, 8h or 7d, from the ledger; without it the shift, from the store.",
    ),
]


@router.get("/trends")
async def trends(line: ReadLine, context: Parts, since: Since = "") -> dict[str, Any]:
    """Return rates with their limits, drift of scores, where rejects come from, and how long parts took.

    What was read within the last five seconds is told again.
    """
    return (await context.trends.report(line, since)).to_json()
