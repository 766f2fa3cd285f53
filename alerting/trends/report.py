"""All trends of a line's parts in one record. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from alerting.trends.delays import Delays, delays, misses
from alerting.trends.drift import Drift, drifts
from alerting.trends.pareto import Bar, by_camera, by_place
from alerting.trends.parts import DEFAULTED, PASSED, REJECTED, Parts
from alerting.trends.rates import Group, PChart, default_chart, fitting_group_s, groups, reject_chart


@dataclass(frozen=True, slots=True)
class Trends:
    """What became of parts between `first_ns` and `last_ns` (captures, UTC; 0 without any part)."""

    first_ns: int
    last_ns: int
    parts: int
    passed: int
    rejected: int
    defaulted: int
    group_s: float
    groups: tuple[Group, ...]
    reject_chart: PChart
    default_chart: PChart
    drifts: tuple[Drift, ...]
    by_camera: tuple[Bar, ...]
    by_place: tuple[Bar, ...]
    delays: Delays
    misses: tuple[Bar, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it under stable names."""
        return {
            **asdict(self),
            "groups": [
                {**asdict(group), "reject_rate": group.reject_rate, "default_rate": group.default_rate}
                for group in self.groups
            ],
            "reject_chart": _chart_json(self.reject_chart),
            "default_chart": _chart_json(self.default_chart),
            "drifts": [
                {**asdict(one), "by_chance": one.by_chance, "drifted": one.drifted, "large": one.large}
                for one in self.drifts
            ],
        }


def trends_of(parts: Parts, *, group_s: float | None = None) -> Trends:
    """Return all trends, with groups of `group_s` seconds, by default of a length that fits the time they cover."""
    length_s = float(fitting_group_s(parts) if group_s is None else group_s)
    found = groups(parts, length_s)
    return Trends(
        first_ns=int(parts.captured_ns[0]) if len(parts) else 0,
        last_ns=int(parts.captured_ns[-1]) if len(parts) else 0,
        parts=len(parts),
        passed=parts.count(PASSED),
        rejected=parts.count(REJECTED),
        defaulted=parts.count(DEFAULTED),
        group_s=length_s,
        groups=tuple(found),
        reject_chart=reject_chart(found),
        default_chart=default_chart(found),
        drifts=tuple(drifts(parts)),
        by_camera=tuple(by_camera(parts)),
        by_place=tuple(by_place(parts)),
        delays=delays(parts),
        misses=tuple(misses(parts)),
    )


def _chart_json(chart: PChart) -> dict[str, Any]:
    return {
        "centre": chart.centre,
        "few": chart.few,
        "points": [{**asdict(point), "outside": point.outside} for point in chart.points],
    }
