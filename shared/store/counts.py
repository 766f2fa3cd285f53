"""Which counters a settled part adds to. Pure."""

from __future__ import annotations

from typing import Final

from shared.clock import NS_PER_MS
from shared.domain import Decision, Outcome
from shared.latency import bucket_of

_COUNTED: Final = {Outcome.PASS: "passed", Outcome.REJECT: "rejected", Outcome.DEFAULT_REJECT: "defaulted"}


def counts_of(decision: Decision) -> list[str]:
    """Return the names: by outcome, and about ground truth where the part's label is known."""
    return [_COUNTED[decision.outcome], *_labelled(decision)]


def latency_bucket(decision: Decision) -> int | str:
    """Return the bucket of the time from capture to signal, as far as a published decision tells it, or nothing."""
    signalled_ns = decision.stamps_ns.get("signalled")
    if signalled_ns is None or decision.outcome is Outcome.DEFAULT_REJECT:
        return ""
    return bucket_of((signalled_ns - decision.captured_at_ns) / NS_PER_MS)


def _labelled(decision: Decision) -> list[str]:
    if decision.label is None:
        return []
    if decision.label == "good":
        return ["false_rejects"] if decision.outcome is Outcome.REJECT else []
    return ["defects", "missed" if decision.outcome is Outcome.PASS else "caught"]
