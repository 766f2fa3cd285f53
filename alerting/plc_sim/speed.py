"""How fast a belt runs over its running time: ramps of linear speed, repeated for ever. Pure."""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shared.clock import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterable

_ACCELERATION_MM_S2: Final = 1_000.0
_JOG_MM_S: Final = -50.0
_MOST_PERIODS: Final = 3
_PROGRESS_MM: Final = 1.0


@dataclass(frozen=True, slots=True)
class Ramp:
    """The speed goes evenly from one to another; below zero the belt runs backwards."""

    duration_s: float
    from_mm_s: float
    to_mm_s: float

    def travelled_mm(self, seconds: float) -> float:
        """Return how far the belt has moved `seconds` into the ramp."""
        slope = (self.to_mm_s - self.from_mm_s) / self.duration_s
        return self.from_mm_s * seconds + slope * seconds * seconds / 2

    @property
    def farthest_mm(self) -> float:
        """Return the most that the belt is ahead of where the ramp began."""
        ends = (0.0, self.travelled_mm(self.duration_s))
        if self.from_mm_s > 0 > self.to_mm_s:
            turns_s = self.duration_s * self.from_mm_s / (self.from_mm_s - self.to_mm_s)
            return max(*ends, self.travelled_mm(turns_s))
        return max(ends)

    def reaches_s(self, distance_mm: float) -> float | None:
        """Return when the belt has first moved `distance_mm` forward (0 or more) within the ramp, if it does."""
        if distance_mm <= 0:
            return 0.0
        half_slope = (self.to_mm_s - self.from_mm_s) / self.duration_s / 2
        inside = self.from_mm_s**2 + 4 * half_slope * distance_mm
        if inside < 0:
            return None
        # The root in the form that loses nothing where the slope is small.
        denominator = self.from_mm_s + math.sqrt(inside)
        seconds = 2 * distance_mm / denominator if denominator > 0 else math.inf
        return seconds if 0 <= seconds <= self.duration_s + 1e-9 else None


class SpeedProfile:
    """A belt's motion. `ran_ns` is the time for which the belt was allowed to run, from the start of the profile."""

    def __init__(self, ramps: Iterable[Ramp]) -> None:
        self._ramps = tuple(ramps)
        self._starts_s = [0.0]
        self._starts_mm = [0.0]
        for ramp in self._ramps:
            self._starts_s.append(self._starts_s[-1] + ramp.duration_s)
            self._starts_mm.append(self._starts_mm[-1] + ramp.travelled_mm(ramp.duration_s))
        self._period_s, self._period_mm = self._starts_s.pop(), self._starts_mm.pop()
        self._farthest_mm = max(
            begin + ramp.farthest_mm for begin, ramp in zip(self._starts_mm, self._ramps, strict=True)
        )
        self.top_mm_s = max(max(ramp.from_mm_s, ramp.to_mm_s) for ramp in self._ramps)
        """The highest speed: nothing reaches the gate sooner than at this one."""

    @property
    def mean_mm_s(self) -> float:
        """Return the mean speed, stops and all."""
        return self._period_mm / self._period_s

    def position_mm(self, ran_ns: int) -> float:
        """Return how far the belt has moved."""
        periods, index, inside_s = self._find(ran_ns)
        return periods * self._period_mm + self._starts_mm[index] + self._ramps[index].travelled_mm(inside_s)

    def speed_mm_s(self, ran_ns: int) -> float:
        """Return the speed."""
        _, index, inside_s = self._find(ran_ns)
        ramp = self._ramps[index]
        return ramp.from_mm_s + (ramp.to_mm_s - ramp.from_mm_s) * inside_s / ramp.duration_s

    def first_ns(self, position_mm: float, after_ns: int) -> int | None:
        """Return the first running time from `after_ns` on at which the belt is at `position_mm` or beyond.

        None for a position that a belt without progress does not reach in three turns of its profile.
        """
        here_mm = self.position_mm(after_ns)
        if here_mm >= position_mm:
            return after_ns
        periods, index, inside_s = self._find(after_ns)
        if self._period_mm >= _PROGRESS_MM:
            # Turns of the profile whose farthest point falls short need not be looked at.
            short = math.ceil((position_mm - self._farthest_mm) / self._period_mm) - 1
            if short > periods:
                periods, index, inside_s = short, 0, 0.0
        for _ in range(_MOST_PERIODS * len(self._ramps) + 1):
            ramp = self._ramps[index]
            begin_mm = periods * self._period_mm + self._starts_mm[index]
            # From the middle of a ramp on, the rest of it is a ramp of its own.
            slope = (ramp.to_mm_s - ramp.from_mm_s) / ramp.duration_s
            left_s = ramp.duration_s - inside_s
            if left_s > 0:
                rest = Ramp(left_s, ramp.from_mm_s + slope * inside_s, ramp.to_mm_s)
                found_s = rest.reaches_s(position_mm - begin_mm - ramp.travelled_mm(inside_s))
                if found_s is not None:
                    at_s = periods * self._period_s + self._starts_s[index] + inside_s + found_s
                    return max(after_ns, math.ceil(at_s * NS_PER_S))
            index, inside_s = index + 1, 0.0
            if index == len(self._ramps):
                periods, index = periods + 1, 0
        return None

    def _find(self, ran_ns: int) -> tuple[int, int, float]:
        periods, inside_s = divmod(ran_ns / NS_PER_S, self._period_s)
        index = bisect_right(self._starts_s, inside_s) - 1
        return int(periods), index, inside_s - self._starts_s[index]


def steady(mm_s: float) -> SpeedProfile:
    """Return a belt that always runs at one speed."""
    return SpeedProfile([Ramp(3_600.0, mm_s, mm_s)])


def changing(seed: int, *, slowest_mm_s: float = 200.0, fastest_mm_s: float = 1_500.0, legs: int = 200) -> SpeedProfile:
    """Return a belt as in a plant: it changes speed every few seconds, and every eighth time stops.

    After half of the stops it is jogged back by 5 to 20 mm before it goes on.
    """
    chance = random.Random(seed)  # noqa: S311 - a simulation's, and the same each time
    ramps: list[Ramp] = []
    speed = slowest_mm_s

    def change(to: float) -> None:
        nonlocal speed
        if to != speed:
            ramps.append(Ramp(abs(to - speed) / _ACCELERATION_MM_S2, speed, to))
        speed = to

    for leg in range(legs):
        if leg % 8 == 7:  # noqa: PLR2004 - every eighth
            change(0.0)
            ramps.append(Ramp(chance.uniform(0.5, 3.0), 0.0, 0.0))
            if leg % 16 == 15:  # noqa: PLR2004 - every other stop
                change(_JOG_MM_S)
                ramps.append(Ramp(chance.uniform(5, 20) / -_JOG_MM_S, _JOG_MM_S, _JOG_MM_S))
                change(0.0)
        change(chance.uniform(slowest_mm_s, fastest_mm_s))
        ramps.append(Ramp(chance.uniform(1.0, 6.0), speed, speed))
    change(slowest_mm_s)
    return SpeedProfile(ramps)
