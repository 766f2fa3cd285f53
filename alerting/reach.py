"""Parts that lie closer together than the gate's reach: what is done to one of them is done to the other. Pure.

A bad part that is thrown out takes its neighbours along, and a gate that opens for a good one lets its bad neighbour
through. So nothing within reach of a part that is rejected, or that nobody could judge, is passed: a PASS waits for its
neighbours' verdicts, and for those who might still be announced, until it falls due.

A part that is withheld for its neighbour's sake is good, and no reason to withhold the next one: else a single reject
would take a whole dense line.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from shared.clock import NS_PER_MS
from shared.domain import Decision, Outcome, PartAnnouncement
from shared.settings import LineSettings

TOO_CLOSE: Final = "too close to "
"""What the reason of a part begins with that is withheld for its neighbour's sake."""
GRACE_NS: Final = 100 * NS_PER_MS
"""How long after it was captured a part's announcement may come, and still hold up its neighbour's PASS."""
_REMEMBERED: Final = 1_024
_BACK: Final = 4
"""A belt may run back by so many reaches, less one, and parts are still known to lie beside those there."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a part lies: when it was captured, and at which count, where an encoder says so."""

    part_id: str
    captured_at_ns: int
    place_counts: int | None = None

    @classmethod
    def of(cls, part: PartAnnouncement) -> Spot:
        """Return where an announced part lies."""
        return cls(part.part_id, part.captured_at_ns, part.place_counts)


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A part around another; `rejects` is None while nobody can say."""

    spot: Spot
    rejects: bool | None


@dataclass(frozen=True, slots=True)
class Reach:
    """How far the gate's blow reaches to either side: in counts where the line has them, else in time."""

    ns: int = 0
    counts: int = 0

    @classmethod
    def of(cls, line: LineSettings) -> Reach:
        """Return the reach of a line's gate; none where none is set."""
        return cls(round((line.gate_reach_ms or 0) * NS_PER_MS), line.gate_reach_counts or 0)

    def __bool__(self) -> bool:
        return bool(self.ns or self.counts)

    def holds(self, one: Spot, other: Spot) -> bool:
        """Return whether two parts are too close; one whose place nobody knows may be anywhere."""
        if one.part_id == other.part_id:
            return False
        if not self.counts:
            return bool(self.ns) and abs(one.captured_at_ns - other.captured_at_ns) <= self.ns
        if one.place_counts is None or other.place_counts is None:
            return True
        return abs(one.place_counts - other.place_counts) <= self.counts

    def is_past(self, spot: Spot, latest: Spot | None, utc_ns: int) -> bool:
        """Return whether nobody new can come within reach of a spot any more."""
        if not self.counts:
            return utc_ns >= spot.captured_at_ns + self.ns + GRACE_NS
        if spot.place_counts is None or latest is None or latest.place_counts is None:
            return False
        return latest.place_counts - spot.place_counts > self.counts


def rejects(decision: Decision) -> bool:
    """Return whether a decision is against its own part, and not only withheld for a neighbour's sake."""
    return decision.outcome is not Outcome.PASS and TOO_CLOSE not in decision.reason


class Neighbourhood:
    """The decided parts of a line that may still lie beside open ones: for `kept_ns`, or as far as the belt moves."""

    def __init__(self, reach: Reach, *, kept_ns: int) -> None:
        self.reach = reach
        self._kept_ns = kept_ns + reach.ns
        self._decided: OrderedDict[str, Neighbour] = OrderedDict()
        self._passed: set[str] = set()

    def decided(self, spot: Spot, decision: Decision, still_open: Iterable[Spot] = ()) -> list[str]:
        """Take a decision that stands; return the names of parts within its reach that passed though it is rejected.

        There is none unless a part was announced, or its verdict changed, after its neighbour's PASS was asserted.
        """
        if not self.reach:
            return []
        passed, bad = decision.outcome is Outcome.PASS, rejects(decision)
        if self._decided.get(spot.part_id) == (known := Neighbour(spot, bad)):
            return []
        self._decided[spot.part_id] = known
        (self._passed.add if passed else self._passed.discard)(spot.part_id)
        self._forget([spot, *still_open])
        if not bad:
            return []
        return [near.spot.part_id for near in self._near(spot, ()) if near.spot.part_id in self._passed]

    def against(self, spot: Spot, others: Iterable[Neighbour]) -> str | None:
        """Return why a part may not pass for its neighbours' sake; None where it may. `others` are the open parts."""
        near = self._near(spot, others)
        bad = [one for one in near if one.rejects]
        unknown = [one for one in near if one.rejects is None]
        if bad:
            return f"{TOO_CLOSE}{bad[0].spot.part_id}, which is rejected"
        if unknown:
            return f"{TOO_CLOSE}{unknown[0].spot.part_id}, which nobody has judged"
        return None

    def waits(self, spot: Spot, others: Iterable[Neighbour], utc_ns: int) -> bool:
        """Return whether more may become known of a part's neighbours, and nothing forbids its PASS yet."""
        others = list(others)
        near = self._near(spot, others)
        if any(one.rejects for one in near):
            return False
        if any(one.rejects is None for one in near):
            return True
        seen = [one.spot for one in (*others, *self._decided.values()) if one.spot.place_counts is not None]
        latest = max(seen, key=lambda one: one.place_counts or 0, default=None)
        return not self.reach.is_past(spot, latest, utc_ns)

    def _near(self, spot: Spot, others: Iterable[Neighbour]) -> list[Neighbour]:
        known = {one.spot.part_id: one for one in (*others, *self._decided.values())}
        return [one for one in known.values() if self.reach.holds(spot, one.spot)]

    def _forget(self, alive: Sequence[Spot]) -> None:
        while self._decided:
            oldest = next(iter(self._decided.values())).spot
            if len(self._decided) <= _REMEMBERED and not all(self._is_far(oldest, spot) for spot in alive):
                return
            del self._decided[oldest.part_id]
            self._passed.discard(oldest.part_id)

    def _is_far(self, old: Spot, spot: Spot) -> bool:
        """Return whether an old part lies beside a spot no more, nor beside what comes after; a belt may stand long."""
        if self.reach.counts and old.place_counts is not None and spot.place_counts is not None:
            return abs(spot.place_counts - old.place_counts) > _BACK * self.reach.counts
        return old.captured_at_ns < spot.captured_at_ns - self._kept_ns
