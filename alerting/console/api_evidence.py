"""The API of what is kept of a part: numbers, pictures, and all of it as one file."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, HTTPException, Query, Response

from alerting.console.access import Parts, ReadLine
from alerting.console.api_lines import PartId
from alerting.console.evidence_work import pack_of, picture_of, zipped

router: Final = APIRouter(prefix="/api/v1/lines/{line}/evidence", tags=["evidence"])
_NONE: Final = "No evidence of this part is kept, or not any more."
_MISSING: Final[dict[int | str, dict[str, Any]]] = {404: {"description": "Nothing of it is kept."}}
_IMMUTABLE: Final = {"cache-control": "private, max-age=3600, immutable"}


class PictureKind(StrEnum):
    """The pictures that are kept of a camera's look at a part; a heat map's pixels are values on its scale."""

    PICTURE = "picture"
    HEAT_MAP = "heat_map"
    OVERLAY = "overlay"
    GOLDEN = "golden"


@router.get("", responses=_MISSING)
async def evidence(line: ReadLine, context: Parts, part_id: PartId) -> Response:
    """Return all that is known of a part but for the pictures: what `evidence.json` of its pack holds."""
    pack = await pack_of(context, line, part_id)
    if pack is None:
        raise HTTPException(404, _NONE)
    known = await asyncio.to_thread(pack.to_json)
    return Response(msgspec.json.encode(known), media_type="application/json")


@router.get(
    "/picture",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}, "image/png": {}}}, **_MISSING},
)
async def evidence_picture(
    line: ReadLine,
    context: Parts,
    part_id: PartId,
    camera: Annotated[str, Query(min_length=1, max_length=64)],
    kind: PictureKind = PictureKind.PICTURE,
) -> Response:
    """Return one picture: JPEG, but for the heat map, a grey PNG of 8 bits."""
    seen = await context.store.camera_evidence(line.name, part_id, camera)
    found = b"" if seen is None else picture_of(seen, kind)
    if not found:
        raise HTTPException(404, _NONE)
    media_type = "image/png" if kind is PictureKind.HEAT_MAP else "image/jpeg"
    return Response(found, media_type=media_type, headers=_IMMUTABLE)


@router.get("/pack", response_class=Response, responses={200: {"content": {"application/zip": {}}}, **_MISSING})
async def evidence_pack(line: ReadLine, context: Parts, part_id: PartId) -> Response:
    """Return everything as one zip file, with checksums and the decision's place in the ledger."""
    pack = await pack_of(context, line, part_id)
    if pack is None:
        raise HTTPException(404, _NONE)
    headers = {"content-disposition": f'attachment; filename="{pack.name}.zip"'}
    return Response(await zipped(pack), media_type="application/zip", headers=headers)
