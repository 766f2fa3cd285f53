"""The page of a part: what its cameras saw, how it was judged, and what people said of it."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse

from alerting.console.access import Parts, ReadLine, Somebody
from alerting.console.api_lines import EntryId, PartId, find_part, neighbours
from alerting.console.evidence_views import REASONS_KEPT, YOUNG_S, camera_views
from alerting.console.evidence_work import Found, find_evidence
from alerting.console.review_work import case_json
from alerting.console.rights import Permission, Principal
from alerting.console.templating import pages_of
from alerting.console.views import part_json
from shared.clock import NS_PER_S
from shared.domain import Decision, Outcome
from shared.evidence_pack import timings_ms
from shared.review import Said
from shared.settings import LineSettings

router: Final = APIRouter(include_in_schema=False)
WORDS: Final = {
    Said.OVERKILL: (
        "o",
        "Overkill: it is good",
        ("dust or fibre", "light or reflection", "within tolerance", "nothing to be seen"),
    ),
    Said.ESCAPE: ("e", "Escape: it is bad", ("surface", "shape or size", "missing or broken", "found later on")),
    Said.AGREED: ("y", "Rightly decided", ("seen", "checked by hand")),
}
"""What operators may say: its key, its button, and the reasons that a key picks."""


@router.get("/lines/{line}/part")
async def part(
    line: ReadLine, request: Request, context: Parts, principal: Somebody, *, part_id: PartId, entry: EntryId = ""
) -> HTMLResponse:
    """Show a part."""
    found = await find_part(context, line, part_id, entry)
    if found is None:
        raise HTTPException(404, "This part is not kept any more.")
    decision = found.value
    seen = await find_evidence(context, line, decision)
    shown = part_json(found.id, decision, line.time_zone)
    age_s = (context.clock.utc_ns() - decision.decided_at_ns) / NS_PER_S
    return pages_of(request).render(
        request,
        "part",
        principal,
        part={**shown, "name": seen.name, "timings": _timings(seen) or shown["timings"]},
        gate=line.gate.value,
        neighbours=await neighbours(context, line, found.id),
        cameras=camera_views(seen.evidence) if seen.evidence else {},
        why_kept=REASONS_KEPT[seen.evidence.why] if seen.evidence else "",
        kept_on=seen.evidence is not None and seen.evidence.kept_on,
        why_none=seen.why_none,
        coming=seen.evidence is None and age_s < YOUNG_S,
        pictured=decision.outcome is Outcome.REJECT and seen.meant,
        review=_review(line, seen, decision, principal),
    )


def _timings(seen: Found) -> list[dict[str, Any]]:
    if seen.evidence is None:
        return []
    return [{"step": step, "after_ms": round(after_ms, 1)} for step, after_ms in timings_ms(seen.evidence).items()]


def _review(line: LineSettings, seen: Found, decision: Decision, principal: Principal) -> dict[str, Any]:
    kept_on = seen.evidence is not None and seen.evidence.kept_on
    case = None if seen.case is None else case_json(seen.case, line, kept=kept_on)
    passed = decision.outcome is Outcome.PASS
    fitting = (Said.ESCAPE if passed else Said.OVERKILL, Said.AGREED)
    newest = None if case is None else case["newest"]
    mine = newest is not None and newest["who"] == principal.name
    may_confirm = principal.may(Permission.CONFIRM, line.name)
    return {
        "case": case,
        "may": seen.meant and principal.may(Permission.REVIEW, line.name),
        "newer": not seen.meant,
        "words": [(said, *WORDS[said]) for said in fitting],
        "take_back": newest["step"] if newest and mine and (newest["word"] or may_confirm) else "",
        "cameras": sorted({found.camera for found in decision.findings}),
    }
