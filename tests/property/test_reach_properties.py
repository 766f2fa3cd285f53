"""Parts closer together than the gate's reach: whatever comes when, beside a reject none passes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import accumulate

from hypothesis import example, given
from hypothesis import strategies as st

from alerting.reach import GRACE_NS, Neighbour, Neighbourhood, Reach, Spot
from shared.clock import NS_PER_MS
from shared.domain import Outcome
from tests.lines import decided

REACH_MS = 100
DUE_MS = 1_280
END_MS = 6_000


@dataclass(frozen=True)
class Part:
    """A part, when it is announced and judged after its exposure (None: never), and whether it is bad."""

    at_ms: int
    announced_ms: int
    judged_ms: int | None
    bad: bool
    place: int = 0

    def spot(self, name: str) -> Spot:
        """Return where it lies."""
        return Spot(name, self.at_ms * NS_PER_MS, self.place)


@dataclass
class Line:
    """A gate's loop around a neighbourhood, without anything else."""

    reach: Reach
    parts: list[Part]
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    withheld: set[str] = field(default_factory=set)
    too_late: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.named = {f"p{number}": part for number, part in enumerate(self.parts)}
        self.near = Neighbourhood(self.reach, kept_ns=1_500 * NS_PER_MS)

    def rejects(self, part: Part, now_ms: int) -> bool | None:
        """Return what is known of a part now."""
        judged = part.judged_ms is not None and now_ms >= part.at_ms + max(part.announced_ms, part.judged_ms)
        if judged:
            return part.bad
        return True if now_ms >= part.at_ms + DUE_MS else None

    def run(self) -> None:
        """Look every 10 ms."""
        for now_ms in range(0, END_MS, 10):
            for name, part in self.named.items():
                if name not in self.outcomes and now_ms >= part.at_ms + part.announced_ms:
                    self.look(name, part, now_ms)

    def look(self, name: str, part: Part, now_ms: int) -> None:
        """Decide a part if it is time."""
        spot, due = part.spot(name), now_ms >= part.at_ms + DUE_MS
        own = self.rejects(part, now_ms)
        if own is None:
            return
        others = [
            Neighbour(other.spot(one), self.rejects(other, now_ms))
            for one, other in self.named.items()
            if one not in {name, *self.outcomes} and now_ms >= other.at_ms + other.announced_ms
        ]
        if not own and not due and self.near.waits(spot, others, now_ms * NS_PER_MS):
            return
        why = None if own else self.near.against(spot, others)
        outcome = Outcome.REJECT if own else Outcome.DEFAULT_REJECT if why else Outcome.PASS
        decision = replace(decided(name, outcome), reason=why or "because")
        self.outcomes[name] = outcome
        self.withheld |= {name} if why else set()
        self.too_late += self.near.decided(spot, decision, [other.spot for other in others])


parts = st.builds(
    Part,
    at_ms=st.integers(0, 300).map(lambda step: step * 10),
    announced_ms=st.integers(0, GRACE_NS // NS_PER_MS - 10),
    judged_ms=st.one_of(st.none(), st.integers(0, 2_000)),
    bad=st.booleans(),
    place=st.integers(0, 400),
)


@given(st.lists(parts, max_size=12))
@example([Part(0, 0, 80, bad=False), Part(100, 0, 80, bad=True)])
@example([Part(0, 0, 80, bad=True), Part(100, 90, 0, bad=False)])
@example([Part(0, 0, 80, bad=False), Part(50, 0, None, bad=False)])
def test_beside_a_reject_none_passes(made: list[Part]) -> None:
    """Nor beside one that nobody could judge; and a good part alone, or among good ones, passes."""
    line = Line(Reach(ns=REACH_MS * NS_PER_MS), made)
    line.run()
    assert line.outcomes.keys() == line.named.keys()
    assert line.too_late == []
    for name, part in line.named.items():
        near = [one for one in line.named if line.reach.holds(part.spot(name), line.named[one].spot(one))]
        against = [one for one in near if line.outcomes[one] is Outcome.REJECT]
        if line.outcomes[name] is Outcome.PASS:
            assert against == []
        if name in line.withheld:
            # For a reason that is there: a neighbour that was bad, or judged too late for this one.
            assert any(self_or_late(line.named[one], part) for one in near)


def self_or_late(other: Part, part: Part) -> bool:
    """Return whether a neighbour is bad, or its verdict came after the other part fell due, or its own."""
    judged_ms = None if other.judged_ms is None else other.at_ms + max(other.announced_ms, other.judged_ms)
    return other.bad or judged_ms is None or judged_ms > min(part.at_ms, other.at_ms) + DUE_MS - 10


@given(st.lists(parts, max_size=12))
def test_by_counts_no_pass_comes_before_the_next_part_but_at_the_last_moment(made: list[Part]) -> None:
    """Where parts are announced in order, and not after their neighbour fell due, beside a reject none passes."""
    places = accumulate(part.place % 150 for part in made)
    belt = [
        replace(part, at_ms=number * 80, place=place, announced_ms=0)
        for number, (part, place) in enumerate(zip(made, places, strict=True))
    ]
    line = Line(Reach(counts=60), belt)
    line.run()
    for name, part in line.named.items():
        near = [one for one in line.named if line.reach.holds(part.spot(name), line.named[one].spot(one))]
        late = [one for one in near if line.named[one].at_ms > part.at_ms + DUE_MS - 10]
        if line.outcomes[name] is Outcome.PASS:
            assert [one for one in near if line.outcomes[one] is Outcome.REJECT and one not in late] == []


@given(st.lists(parts, max_size=8))
def test_without_a_reach_each_part_is_judged_by_itself(made: list[Part]) -> None:
    """Nobody waits, and nothing is withheld."""
    line = Line(Reach(), made)
    line.run()
    assert line.withheld == set()
    assert not Reach()
