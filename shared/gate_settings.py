"""Where a line's gate is, in time or in counts of its encoder, and how far its blow reaches. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

_COUNTS = ("gate_counts", "fastest_counts_per_s")


class GatePlace(Protocol):
    """What a line says of its gate."""

    gate_delay_ms: int
    actuation_lead_ms: int
    gate_counts: int | None
    fastest_counts_per_s: float | None
    gate_reach_ms: float | None
    gate_reach_counts: int | None


def with_delay(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line's settings with the `gate_delay_ms` that follows from its counts, where it has them.

    It is the shortest that there can be: at the fastest speed. What is no number is left for others to refuse.
    """
    if any(values.get(name) is None for name in _COUNTS):
        return dict(values)
    try:
        counts, fastest_per_s = (float(values[name]) for name in _COUNTS)
        delay_ms = math.floor(1_000 * counts / fastest_per_s)
    except (ArithmeticError, TypeError, ValueError):
        return dict(values)
    if values.get("gate_delay_ms") not in {None, delay_ms}:
        raise ValueError(
            f"gate_delay_ms follows from gate_counts and fastest_counts_per_s ({delay_ms} ms): leave it out"
        )
    return {**values, "gate_delay_ms": delay_ms}


def gate_misfit(line: GatePlace, *, identity: str, offsets_counts: Iterable[int]) -> str | None:
    """Return what does not fit together, in words; None where all does."""
    by_counts = line.gate_counts is not None
    to_decide_ms = line.gate_delay_ms - line.actuation_lead_ms
    farthest_ms = 1_000 * max(map(abs, offsets_counts)) / (line.fastest_counts_per_s or math.inf)
    problems = (
        (
            by_counts != (line.fastest_counts_per_s is not None),
            "gate_counts and fastest_counts_per_s go together: decide_by is reckoned at the fastest speed",
        ),
        (
            (by_counts or line.gate_reach_counts is not None) and identity != "encoder",
            'gate_counts and gate_reach_counts need parts.identity = "encoder": nothing else counts',
        ),
        (
            line.gate_reach_ms is not None and line.gate_reach_counts is not None,
            "gate_reach_ms and gate_reach_counts are one and the same reach: give one of them",
        ),
        (
            (line.gate_reach_ms or 0) >= to_decide_ms,
            "gate_reach_ms must be smaller than gate_delay_ms - actuation_lead_ms, or every part would default",
        ),
        (
            by_counts and (line.gate_reach_counts or 0) >= (line.gate_counts or math.inf),
            "gate_reach_counts must be smaller than gate_counts: no part is hit before it was seen",
        ),
        (
            farthest_ms >= to_decide_ms,
            "offset_counts / fastest_counts_per_s must be below gate_delay_ms - actuation_lead_ms: too late to decide",
        ),
    )
    return next((text for wrong, text in problems if wrong), None)
