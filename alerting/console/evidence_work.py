"""A part's evidence at the console: found in the store, or a sentence that says why it is not there."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from alerting.console.context import Context
from alerting.console.evidence_views import why_none
from shared.domain import Decision
from shared.errors import StoreError, StoreUnavailableError
from shared.evidence import CameraEvidence, PartEvidence
from shared.evidence_pack import EvidencePack
from shared.review import Case
from shared.settings import LineSettings


@dataclass(frozen=True, slots=True)
class Found:
    """A part's evidence and its case; without evidence `why_none` says why."""

    evidence: PartEvidence | None
    case: Case | None
    why_none: str = ""


async def find_evidence(context: Context, line: LineSettings, decision: Decision) -> Found:
    """Return what is kept of a decided part; StoreUnavailableError alone is raised."""
    problem, evidence, case = "", None, None
    try:
        case = await context.store.review_case(line.name, decision.part_id)
        evidence = await context.store.evidence(line.name, decision.part_id)
    except StoreUnavailableError:
        raise
    except StoreError as error:
        problem = f"What is kept of this part cannot be read: {error}"
    if evidence is None and not problem:
        kept = context.settings
        problem = why_none(
            decision,
            now_ns=context.clock.utc_ns(),
            kept_s=kept.store.pictures_s,
            sample_every=kept.detector.evidence.sample_every,
        )
    return Found(evidence, case, problem)


async def pack_of(context: Context, line: LineSettings, part_id: str) -> EvidencePack | None:
    """Return a part's evidence pack; None where no evidence is kept."""
    store = context.store
    evidence = await store.evidence(line.name, part_id)
    if evidence is None:
        return None
    case = await store.review_case(line.name, part_id)
    return EvidencePack(evidence, case, await store.ledger_record(line.name, part_id))


async def zipped(pack: EvidencePack) -> bytes:
    """Return a pack's bytes, which takes a moment of a thread."""
    return await asyncio.to_thread(pack.zip_bytes)


def picture_of(seen: CameraEvidence, kind: str) -> bytes:
    """Return one of the pictures of a camera's evidence; empty where it is lacking."""
    if kind == "golden":
        return b"" if seen.golden is None else seen.golden.jpeg
    return {"picture": seen.picture, "heat_map": seen.heat_map, "overlay": seen.overlay}[kind]
