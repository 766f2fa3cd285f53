"""A part's evidence at the console: found in the store, or a sentence that says why it is not there."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TypeVar

from alerting.console.context import Context
from alerting.console.evidence_views import why_none
from shared.domain import Decision
from shared.errors import StoreError, StoreUnavailableError
from shared.evidence import CameraEvidence, PartEvidence, stamp_of
from shared.evidence_pack import EvidencePack
from shared.review import Case, aside_name
from shared.settings import LineSettings

Kept = TypeVar("Kept", PartEvidence, Case)


@dataclass(frozen=True, slots=True)
class Found:
    """A part's evidence and its case, and the name they go by; without evidence `why_none` says why.

    `meant` says whether that name still means this part, and not a newer one of the same number.
    """

    name: str
    evidence: PartEvidence | None
    case: Case | None
    why_none: str = ""
    meant: bool = True


async def find_evidence(context: Context, line: LineSettings, decision: Decision) -> Found:
    """Return what is kept of a decided part; StoreUnavailableError alone is raised."""
    problem, name, evidence, case, newest = "", decision.part_id, None, None, decision
    try:
        # Part numbers come again: what is kept of a newer part of this name is none of this one's.
        for name in (decision.part_id, aside_name(decision)):
            case = _same(await context.store.review_case(line.name, name), decision)
            evidence = _same(await context.store.evidence(line.name, name), decision)
            if case is not None or evidence is not None:
                break
        else:
            name = decision.part_id
        newest = (await context.store.decided(line.name, [name])).get(name, decision)
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
    return Found(name, evidence, case, problem, meant=newest.captured_at_ns == decision.captured_at_ns)


async def pack_of(context: Context, line: LineSettings, part_id: str) -> EvidencePack | None:
    """Return a part's evidence pack; None where no evidence is kept."""
    store = context.store
    evidence = await store.evidence(line.name, part_id)
    if evidence is None:
        return None
    decision = evidence.decision
    case = _same(await store.review_case(line.name, part_id), decision)
    record = await store.ledger_record(line.name, decision.part_id)
    return EvidencePack(
        evidence, case, record if record is not None and stamp_of(decision) in record.decision else None
    )


def _same(kept: Kept | None, decision: Decision) -> Kept | None:
    """Return what is kept under a part's name, if it is that part's."""
    return kept if kept is not None and kept.decision.captured_at_ns == decision.captured_at_ns else None


async def zipped(pack: EvidencePack) -> bytes:
    """Return a pack's bytes, which takes a moment of a thread."""
    return await asyncio.to_thread(pack.zip_bytes)


def picture_of(seen: CameraEvidence, kind: str) -> bytes:
    """Return one of the pictures of a camera's evidence; empty where it is lacking."""
    if kind == "golden":
        return b"" if seen.golden is None else seen.golden.jpeg
    return {"picture": seen.picture, "heat_map": seen.heat_map, "overlay": seen.overlay}[kind]
