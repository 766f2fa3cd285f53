"""What a part adds to the counters of its line and of its shift. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC
from typing import Final

from shared.clock import NS_PER_MS
from shared.domain import Decision, Outcome
from shared.latency import bucket_of
from shared.shifts import Shifts
from shared.store.base import LineCounters

_COUNTED: Final = {Outcome.PASS: "passed", Outcome.REJECT: "rejected", Outcome.DEFAULT_REJECT: "defaulted"}
_KNOWN: Final = {entry.name for entry in fields(LineCounters)}
_DAYS: Final = Shifts((), UTC)


def counts_of(decision: Decision) -> list[str]:
    """Return which counters a settled part adds to; none about ground truth where its label is unknown."""
    counts = [_COUNTED[decision.outcome], *(["not_carried_out"] if decision.not_carried_out else [])]
    if decision.label is None:
        return counts
    went = decision.outcome is Outcome.PASS or decision.not_carried_out
    if decision.label == "good":
        return [*counts, "false_rejects"] if decision.outcome is Outcome.REJECT and not went else counts
    return [*counts, "defects", "missed" if went else "caught"]


def latency_bucket(decision: Decision) -> int | None:
    """Return the bucket of the time from capture to signal, as far as a published decision tells it."""
    signalled_ns = decision.stamps_ns.get("signalled")
    if signalled_ns is None or decision.outcome is Outcome.DEFAULT_REJECT:
        return None
    return bucket_of((signalled_ns - decision.captured_at_ns) / NS_PER_MS)


def shift_of(shifts: Mapping[str, Shifts], line: str, captured_at_ns: int) -> str:
    """Return the shift of an instant; the shifts of a line that is not there are days in UTC."""
    return shifts.get(line, _DAYS).at(captured_at_ns).name


def line_counters(counts: Mapping[str, int | bytes], latency: Mapping[int, int]) -> LineCounters:
    """Return what was counted; those never touched are zero, and those of a newer version are left out."""
    known = {name: int(count) for name, count in counts.items() if name in _KNOWN}
    return LineCounters(**known, latency_buckets=latency)
