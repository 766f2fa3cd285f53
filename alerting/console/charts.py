"""Where everything of a chart stands, for the SVG that the pages draw of it: no script and no package draws it. Pure.

Lengths are units of a view box `WIDTH` wide. What lies outside of limits has a shape of its own beside its colour.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from typing import Final

from alerting.trends.drift import BINS, Drift
from alerting.trends.pareto import Bar
from alerting.trends.rates import Group, PChart
from shared.clock import NS_PER_S

WIDTH: Final = 760
HEIGHT: Final = 260
LEFT: Final = 66
RIGHT: Final = 744
END: Final = 640
"""Where time ends in a chart: beyond it stand the names of its curves."""
TOP: Final = 16
BOTTOM: Final = 216
MOST_BARS: Final = 12
_NAMES_APART: Final = 18.0
_ROW: Final = 34
_BAR_LEFT: Final = 250
_BAR_RIGHT: Final = 690
_X_TICKS: Final = 6
_Y_TICKS: Final = 4
_HOUR_S: Final = 3_600
_MINUTE_S: Final = 60


@dataclass(frozen=True, slots=True)
class Mark:
    """A point: `odd` is outside of its limits, or late."""

    x: float
    y: float
    odd: bool
    said: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis and what it means."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Curve:
    """A line through a chart: its kind, such as `limit`, its path, its name, and how high that stands."""

    kind: str
    path: str
    y: float
    name: str


@dataclass(frozen=True, slots=True)
class TimeChart:
    """Something over time."""

    marks: tuple[Mark, ...]
    curves: tuple[Curve, ...]
    xs: tuple[Tick, ...]
    ys: tuple[Tick, ...]
    path: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a histogram."""

    x: float
    y: float
    width: float
    height: float
    label: str
    share: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """Shares of scores in the tenths of their calibration, and where each would be."""

    columns: tuple[Column, ...]
    expected_y: float
    ys: tuple[Tick, ...]


@dataclass(frozen=True, slots=True)
class BarRow:
    """A bar of a Pareto chart, and where its running share stands."""

    y: float
    width: float
    running_x: float
    bar: Bar


@dataclass(frozen=True, slots=True)
class Pareto:
    """Bars in falling order; `more` of them are not shown."""

    rows: tuple[BarRow, ...]
    height: float
    path: str
    more: int


def rate_chart(chart: PChart, group_s: float, zone: tzinfo = UTC) -> TimeChart:
    """Return a p-chart: points, the limits of each group's size, and the centre."""
    points = chart.points
    top = _ceiling(max((max(one.rate, one.upper) for one in points), default=0.0), least=0.01)
    starts_ns = [one.start_ns for one in points]
    place_x, place_y = _xs(starts_ns, group_s), _ys(top)
    marks = tuple(
        Mark(x, place_y(one.rate), one.outside, f"{_when(one.start_ns, group_s, zone)}: {one.rate:.2%} of {one.parts}")
        for x, one in zip(place_x, points, strict=True)
    )
    half = _half(place_x)
    curves = tuple(
        Curve("limit", _steps(place_x, ys, half), ys[-1], name)
        for name, ys in (
            ("upper limit", [place_y(one.upper) for one in points]),
            ("lower limit", [place_y(one.lower) for one in points]),
        )
        if ys and (name == "upper limit" or any(one.lower > 0 for one in points))
    )
    centre = place_y(chart.centre)
    mean = Curve("centre", f"M{LEFT} {centre}H{END}", centre, f"mean {100 * chart.centre:.1f} %")
    times = _times(starts_ns, place_x, group_s, zone)
    return TimeChart(marks, _named_apart((*curves, mean)), times, _shares(top), _polyline(marks))


def latency_chart(groups: Sequence[Group], group_s: float, allowed_ms: float, zone: tzinfo = UTC) -> TimeChart:
    """Return each group's 99th percentile of capture to signal, and the time that is allowed."""
    top = _ceiling(max([allowed_ms, *(one.p99_ms for one in groups if one.p99_ms is not None)]), least=1.0)
    starts_ns = [one.start_ns for one in groups]
    place_x, place_y = _xs(starts_ns, group_s), _ys(top)
    marks = tuple(
        Mark(
            x,
            place_y(one.p99_ms),
            one.late > 0,
            f"{_when(one.start_ns, group_s, zone)}: {one.p99_ms:.0f} ms, {one.late} late",
        )
        for x, one in zip(place_x, groups, strict=True)
        if one.p99_ms is not None
    )
    at = place_y(allowed_ms)
    allowed = Curve("limit", f"M{LEFT} {at}H{END}", at, f"{allowed_ms:.0f} ms")
    ys = tuple(Tick(place_y(top * step / _Y_TICKS), f"{top * step / _Y_TICKS:g}") for step in range(_Y_TICKS + 1))
    return TimeChart(marks, (allowed,), _times(starts_ns, place_x, group_s, zone), ys, _polyline(marks))


def score_histogram(drift: Drift) -> Histogram:
    """Return the tenths of a camera's scores beside the tenth that each would be."""
    top = _ceiling(max(*drift.shares, 1.0 / BINS), least=0.2)
    place_y, step = _ys(top), (RIGHT - LEFT) / BINS
    columns = []
    for number, share in enumerate(drift.shares):
        low = _tenth(number)
        label = f"{low:.2f} on" if number == BINS - 1 else f"{low:.2f}"
        y = place_y(share)
        columns.append(
            Column(
                round(LEFT + number * step + 4, 1),
                y,
                round(step - 8, 1),
                round(BOTTOM - y, 1),
                label,
                f"{share:.1%}",
            )
        )
    return Histogram(tuple(columns), place_y(1.0 / BINS), _shares(top))


def tenth_text(number: int) -> str:
    """Return which scores a tenth holds."""
    low = _tenth(number)
    return f"{low:.2f} and more" if number == BINS - 1 else f"{low:.2f} to {_tenth(number + 1):.2f}"


def pareto(bars: Sequence[Bar]) -> Pareto:
    """Return the highest bars with their running share."""
    shown = bars[:MOST_BARS]
    highest = max((bar.count for bar in shown), default=1)
    reach = _BAR_RIGHT - _BAR_LEFT
    rows = tuple(
        BarRow(
            8 + place * _ROW,
            round(max(3.0, reach * bar.count / highest), 1),
            round(_BAR_LEFT + reach * bar.running, 1),
            bar,
        )
        for place, bar in enumerate(shown)
    )
    path = "M" + "L".join(f"{row.running_x} {row.y + 11}" for row in rows) if rows else ""
    return Pareto(rows, 8 + _ROW * len(rows), path, len(bars) - len(shown))


def _tenth(number: int) -> float:
    """Return the score from which on a tenth is."""
    return -math.log10(1.0 - number / BINS)


def _ceiling(value: float, *, least: float) -> float:
    """Return a round number that is not below, of four round steps."""
    value = max(value, least)
    base = 10.0 ** math.floor(math.log10(value))
    factor = next(one for one in (1.0, 1.2, 1.6, 2.0, 4.0, 6.0, 8.0, 10.0) if one * base >= value * (1 - 1e-9))
    return factor * base


def _xs(starts_ns: Sequence[int], group_s: float) -> list[float]:
    if not starts_ns:
        return []
    groups = (starts_ns[-1] - starts_ns[0]) / NS_PER_S / group_s + 1
    step = (END - LEFT) / groups
    return [round(LEFT + step * ((at_ns - starts_ns[0]) / NS_PER_S / group_s + 0.5), 1) for at_ns in starts_ns]


def _named_apart(curves: Sequence[Curve]) -> tuple[Curve, ...]:
    """Return curves, the highest first, whose names do not lie on each other."""
    placed: list[Curve] = []
    for curve in sorted(curves, key=lambda one: one.y):
        lowest = placed[-1].y + _NAMES_APART if placed else curve.y
        placed.append(replace(curve, y=max(curve.y, lowest)))
    return tuple(placed)


def _half(xs: Sequence[float]) -> float:
    """Return half a group's width: the first point is in the middle of its group."""
    return xs[0] - LEFT if xs else 0.0


def _ys(top: float) -> Callable[[float], float]:
    return lambda value: round(BOTTOM - (BOTTOM - TOP) * min(value, top) / top, 1)


def _shares(top: float) -> tuple[Tick, ...]:
    place_y = _ys(top)
    return tuple(
        Tick(place_y(top * step / _Y_TICKS), f"{100 * top * step / _Y_TICKS:g} %") for step in range(_Y_TICKS + 1)
    )


def _times(starts_ns: Sequence[int], xs: Sequence[float], group_s: float, zone: tzinfo) -> tuple[Tick, ...]:
    every = max(1, math.ceil(len(xs) / _X_TICKS))
    return tuple(Tick(xs[place], _when(starts_ns[place], group_s, zone)) for place in range(0, len(xs), every))


def _steps(xs: Sequence[float], ys: Sequence[float], half: float) -> str:
    """Return a path that stays level for the width of each group."""
    return "".join(f"M{round(x - half, 1)} {y}H{round(x + half, 1)}" for x, y in zip(xs, ys, strict=True))


def _polyline(marks: Sequence[Mark]) -> str:
    return "M" + "L".join(f"{mark.x} {mark.y}" for mark in marks) if marks else ""


def _when(at_ns: int, group_s: float, zone: tzinfo) -> str:
    text = "%m-%d %H:%M" if group_s >= _HOUR_S else "%H:%M" if group_s >= _MINUTE_S else "%H:%M:%S"
    return datetime.fromtimestamp(at_ns / NS_PER_S, zone).strftime(text)
