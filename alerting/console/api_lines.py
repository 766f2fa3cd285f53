"""The API of lines, parts and pictures, and the stream of live updates."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Header, HTTPException, Query, Request, Response
from fastapi.responses import StreamingResponse

from alerting.console.access import Parts, ReadLine, Somebody
from alerting.console.context import Context
from alerting.console.filters import AlertFilter
from alerting.console.rights import Permission, Principal
from alerting.console.standing import Standing
from alerting.console.views import dot, part_json
from alerting.trends.pareto import Place
from shared.domain import Decision, Outcome
from shared.errors import StoreError, StoreUnavailableError
from shared.settings import LineSettings
from shared.store.base import Entry

router: Final = APIRouter(prefix="/api/v1", tags=["lines"])
PartId = Annotated[str, Query(min_length=1, max_length=500, description="The part's id.")]
EntryId = Annotated[str, Query(pattern=r"^([0-9]{1,19}-[0-9]{1,19})?$", description="Its entry, as the API named it.")]
_DECISION: Final = msgspec.msgpack.Decoder(Decision)
_SEARCHED: Final = 1_000


@router.get("/me")
async def me(principal: Somebody) -> dict[str, Any]:
    """Say who asks, and what they may."""
    return {"name": principal.name, "roles": principal.roles, "scopes": sorted(principal.scopes)}


@router.get("/lines")
async def lines(context: Parts, principal: Somebody) -> list[dict[str, Any]]:
    """Return what the wall shows of each line that one may see."""
    await context.hub.fresh()
    return [
        context.hub.card(follower).to_json()
        for name, follower in context.hub.lines.items()
        if principal.may(Permission.READ, name)
    ]


@router.get("/lines/{line}/parts")
async def parts(
    line: ReadLine,
    context: Parts,
    *,
    outcome: Annotated[list[Outcome] | None, Query(description="Which outcomes; all without.")] = None,
    camera: Annotated[str, Query(max_length=64, description="Only parts that this camera saw.")] = "",
    min_score: Annotated[float | None, Query(ge=0, le=100, allow_inf_nan=False)] = None,
    place: Annotated[Place | None, Query(description="Only parts whose worst region on a picture is there.")] = None,
    before: EntryId = "",
    most: Annotated[int, Query(ge=1, le=300)] = 100,
) -> list[dict[str, Any]]:
    """Return parts, newest first. Without `before`, rejects are looked for further back than parts that passed."""
    wanted = frozenset(outcome or Outcome)
    if before:
        found = await context.store.decision_entries(line.name, before=before, most=_SEARCHED)
    else:
        await context.hub.fresh()
        follower = context.hub.lines[line.name]
        found = list(follower.ribbon if Outcome.PASS in wanted else follower.rejects)
    by = AlertFilter(camera=camera, min_score=min_score, place=place)
    fitting = (entry for entry in reversed(found) if entry.value.outcome in wanted and by.lets_part(entry.value))
    return [_part(entry, line) for entry, _ in zip(fitting, range(most), strict=False)]


@router.get("/lines/{line}/part", responses={404: {"description": "It is not kept any more."}})
async def part(line: ReadLine, context: Parts, part_id: PartId, entry: EntryId = "") -> dict[str, Any]:
    """Return all that is kept of a part, and its neighbours where its entry is known."""
    found = await find_part(context, line, part_id, entry)
    if found is None:
        raise HTTPException(404, "This part is not kept any more.")
    return {**_part(found, line), "neighbours": await neighbours(context, line, found.id)}


@router.get(
    "/lines/{line}/picture",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}}, 404: {"description": "No picture is kept."}},
)
async def picture(
    line: ReadLine, context: Parts, part_id: PartId, camera: Annotated[str, Query(max_length=64)]
) -> Response:
    """Return the picture of a reject with its overlay, a JPEG."""
    if camera not in {one.name for one in line.cameras}:
        raise HTTPException(404, "There is no such camera.")
    jpeg = await context.store.picture(line.name, part_id, camera)
    if jpeg is None:
        raise HTTPException(404, "No picture of this part is kept.")
    return Response(jpeg, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600, immutable"})


@router.get("/events", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}})
async def events(
    request: Request,
    context: Parts,
    principal: Somebody,
    last_event_id: Annotated[str, Header(max_length=64)] = "",
) -> Response:
    """Stream what happens as server-sent events: `snapshot` of all lines, then `line` for each that changed.

    One who was away says the last event's id, and is told what came since, or given a snapshot.
    """
    if context.hub.is_full(principal.name):
        raise HTTPException(503, "Too many browsers look on already.")
    stream = _events(request, context, principal, last_event_id)
    return StreamingResponse(stream, media_type="text/event-stream", headers={"x-accel-buffering": "no"})


async def _events(request: Request, context: Context, principal: Principal, last_event_id: str) -> AsyncIterator[bytes]:
    """Stream until whoever looks on may not any more: an open page counts as use of its session."""
    now, standing = principal, Standing(request, context)

    def may(line: str) -> bool:
        return now.may(Permission.READ, line)

    yield b"retry: 1000\n\n"
    async with aclosing(context.hub.stream(may, last_event_id, who=principal.name)) as stream:
        async for chunk in stream:
            before = now
            found = await standing.still(now)
            if found is None:
                yield b"event: signed-out\ndata: {}\n\n"
                return
            now = found
            if now.roles != before.roles:
                # What was read for the rights that they had is not told; the page asks again, for those they have.
                return
            yield chunk or b": nothing new\n\n"


async def find_part(context: Context, line: LineSettings, part_id: str, entry: str) -> Entry[Decision] | None:
    """Return a part by its entry, or look for it; None for one that is not kept any more."""
    if entry:
        milliseconds, _, number = entry.partition("-")
        before = f"{milliseconds}-{int(number) + 1}"
        found = await context.store.decision_entries(line.name, before=before, most=1)
        if found and found[0].id == entry and found[0].value.part_id == part_id:
            return found[0]
    await context.hub.fresh()
    follower = context.hub.lines[line.name]
    for known in (follower.ribbon, follower.rejects):
        for one in reversed(known):
            if one.value.part_id == part_id:
                return one
    record = await context.store.ledger_record(line.name, part_id)
    decision = None
    if record is not None:
        with suppress(msgspec.MsgspecError):
            decision = _DECISION.decode(record.decision)
    decision = decision or await _remembered(context, line, part_id)
    return None if decision is None else Entry("", decision)


async def _remembered(context: Context, line: LineSettings, part_id: str) -> Decision | None:
    """Return the decision of a part that is kept for what was seen or said of it alone."""
    try:
        cover = (await context.store.evidence_covers(line.name, [part_id])).get(part_id)
        if cover is not None:
            return cover.decision
        case = await context.store.review_case(line.name, part_id)
    except StoreUnavailableError:
        raise
    except StoreError:
        return None
    return None if case is None else case.decision


async def neighbours(context: Context, line: LineSettings, entry: str) -> dict[str, dict[str, Any] | None]:
    """Return the parts before and after one, and the rejects before and after it; none where its entry is unknown."""
    if not entry:
        return dict.fromkeys(("previous", "next", "previous_reject", "next_reject"))
    before = await context.store.decision_entries(line.name, before=entry, most=_SEARCHED)
    after = await context.store.decision_entries(line.name, after=entry, most=_SEARCHED)
    before.reverse()
    return {
        "previous": _short(before, line),
        "next": _short(after, line),
        "previous_reject": _short([one for one in before if one.value.outcome is not Outcome.PASS], line),
        "next_reject": _short([one for one in after if one.value.outcome is not Outcome.PASS], line),
    }


def _short(entries: list[Entry[Decision]], line: LineSettings) -> dict[str, Any] | None:
    if not entries:
        return None
    first = dot(entries[0])
    return {"line": line.name, "part_id": first.part_id, "entry": first.entry, "letter": first.letter}


def _part(entry: Entry[Decision], line: LineSettings) -> dict[str, Any]:
    return part_json(entry.id, entry.value, line.time_zone)
