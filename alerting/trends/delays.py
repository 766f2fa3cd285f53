"""How long parts took from capture to signal, how much of their time that was, and why parts came by default. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alerting.trends.pareto import Bar, bars
from alerting.trends.parts import DEFAULTED, Parts
from shared.domain import NotInspected

OTHERWISE = "otherwise"


@dataclass(frozen=True, slots=True)
class Delays:
    """Percentiles of parts that were signalled and not by default; None where there is none.

    `used` are the same latencies as shares of each part's own time to decide: at 1 the gate only just knew. `late` is
    how many were signalled after it.
    """

    parts: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    worst_ms: float | None
    used_p99: float | None
    late: int


def delays(parts: Parts) -> Delays:
    """Return how long the parts took."""
    return delays_of(parts.latency_ms, parts.allowed_ms)


def delays_of(latency_ms: NDArray[np.float64], allowed_ms: NDArray[np.float64]) -> Delays:
    """Return how long parts took, (n,) NaN where they do not count, of the time that each was allowed, (n,)."""
    there = np.isfinite(latency_ms)
    taken = latency_ms[there]
    if not taken.size:
        return Delays(0, None, None, None, None, None, 0)
    used = taken / np.maximum(allowed_ms[there], 1e-6)
    # The nearest rank that is not below: a percentile is never understated.
    p50, p95, p99 = (float(value) for value in np.percentile(taken, (50, 95, 99), method="higher"))
    used_p99 = float(np.percentile(used, 99, method="higher"))
    return Delays(int(taken.size), p50, p95, p99, float(taken.max()), used_p99, int((used > 1.0).sum()))


def misses(parts: Parts) -> list[Bar]:
    """Return why parts came by default: for each the reasons of its cameras, or `otherwise`, such as a halted line."""
    found = parts.findings
    defaulted = parts.outcome == DEFAULTED
    if not defaulted.any():
        return []
    names = [reason.value for reason in NotInspected]
    of_parts: dict[int, set[str]] = {part: set() for part in np.flatnonzero(defaulted).tolist()}
    rows = np.flatnonzero(defaulted[found.part] & (found.reason >= 0))
    for part, reason in zip(found.part[rows].tolist(), found.reason[rows].tolist(), strict=True):
        of_parts[part].add(names[reason])
    return bars(" and ".join(sorted(reasons)) or OTHERWISE for reasons in of_parts.values())
