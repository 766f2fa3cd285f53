"""Shares of parts over time, and the limits within which chance alone moves them: a p-chart. Pure.

The chart is Shewhart's for fractions with groups of different sizes: centre p, limits p +- 3 sqrt(p (1 - p) / n),
cut at 0 and 1 (Montgomery, Introduction to Statistical Quality Control, chapter 7.2; NIST/SEMATECH e-Handbook of
Statistical Methods, section 6.3.3.2). About three groups in a thousand lie outside by chance, and more where n p is
small: with n p below 5 the normal law is a poor one, and `few` says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from alerting.trends.delays import delays_of
from alerting.trends.parts import DEFAULTED, REJECTED, Parts
from shared.clock import NS_PER_S

_SIGMAS: Final = 3.0
_FEWEST_EVENTS: Final = 5.0
_GROUPS: Final = 24
_NICE_S: Final = (10, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400, 604_800)


@dataclass(frozen=True, slots=True)
class Group:
    """The parts that were captured from `start_ns` (UTC) on, for as long as a group lasts.

    `p99_ms` is from capture to signal, of those that were signalled and not by default, `late` how many of them were
    signalled after their time.
    """

    start_ns: int
    parts: int
    rejected: int
    defaulted: int
    p99_ms: float | None = None
    late: int = 0

    @property
    def reject_rate(self) -> float:
        """Return the share of rejected parts."""
        return self.rejected / self.parts

    @property
    def default_rate(self) -> float:
        """Return the share of parts that were rejected by default."""
        return self.defaulted / self.parts


@dataclass(frozen=True, slots=True)
class Point:
    """A group on a chart: its share, the limits for its size, whether it lies outside."""

    start_ns: int
    parts: int
    rate: float
    lower: float
    upper: float

    @property
    def outside(self) -> bool:
        """Return whether more than chance moved it."""
        return not self.lower <= self.rate <= self.upper


@dataclass(frozen=True, slots=True)
class PChart:
    """A share over time about its `centre`; `few` says that the groups are too small for its limits to be trusted."""

    centre: float
    points: tuple[Point, ...]
    few: bool


def groups(parts: Parts, group_s: float) -> list[Group]:
    """Return the parts in groups of so many seconds, oldest first; those without a part are left out."""
    if not len(parts):
        return []
    length_ns = round(group_s * NS_PER_S)
    numbers, which = np.unique(parts.captured_ns // length_ns, return_inverse=True)
    counted = [
        np.bincount(which, weights=weights, minlength=numbers.size).astype(np.int64)
        for weights in (None, parts.outcome == REJECTED, parts.outcome == DEFAULTED)
    ]
    # Parts lie in the order of their captures: a group is a run of them.
    ends = np.cumsum(counted[0])[:-1]
    latencies = [delays_of(*pair) for pair in zip(*(np.split(x, ends) for x in _times(parts)), strict=True)]
    rows = zip(numbers.tolist(), *(counts.tolist() for counts in counted), latencies, strict=True)
    return [
        Group(number * length_ns, size, rejected, defaulted, took.p99_ms, took.late)
        for number, size, rejected, defaulted, took in rows
    ]


def _times(parts: Parts) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return parts.latency_ms, parts.allowed_ms


def fitting_group_s(parts: Parts) -> int:
    """Return a round length of groups, in seconds, of which about two dozen cover the parts."""
    if not len(parts):
        return _NICE_S[0]
    span_s = (parts.captured_ns[-1] - parts.captured_ns[0]) / NS_PER_S
    return next((length for length in _NICE_S if length * _GROUPS >= span_s), _NICE_S[-1])


def p_chart(found: Sequence[Group], events: Sequence[int], *, centre: float | None = None) -> PChart:
    """Return the chart of `events` of the groups; `centre` is a known share, by default that of all groups."""
    sizes = [group.parts for group in found]
    total = sum(sizes)
    if centre is None:
        centre = sum(events) / total if total else 0.0
    points = []
    for group, count in zip(found, events, strict=True):
        reach = _SIGMAS * math.sqrt(centre * (1.0 - centre) / group.parts)
        rate = count / group.parts
        points.append(Point(group.start_ns, group.parts, rate, max(0.0, centre - reach), min(1.0, centre + reach)))
    few = bool(points) and float(np.median(sizes)) * min(centre, 1.0 - centre) < _FEWEST_EVENTS
    return PChart(centre, tuple(points), few)


def reject_chart(found: Sequence[Group]) -> PChart:
    """Return the chart of rejected parts."""
    return p_chart(found, [group.rejected for group in found])


def default_chart(found: Sequence[Group]) -> PChart:
    """Return the chart of parts that were rejected by default."""
    return p_chart(found, [group.defaulted for group in found])
