"""What holds for any interleaving of captures, verdicts and silence: at the order by itself, and at a whole line."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.order import CaptureOrder, Place
from tests.lines import Plant

LONGEST_NS, MOST = 100, 4


@dataclass
class Script:
    """Parts that open and close around an order, and what it released."""

    longest_ns: int = LONGEST_NS
    most: int = MOST
    now_ns: int = 0
    open: set[Place] = field(default_factory=set)
    held_since: dict[Place, int] = field(default_factory=dict)
    released: list[tuple[Place, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.order: CaptureOrder[Place] = CaptureOrder(longest_ns=self.longest_ns, most=self.most)

    def see(self, place: Place) -> None:
        """Open a part, unless it was seen before."""
        if place not in self.held_since and place not in self.open:
            self.open.add(place)

    def settle(self, index: int) -> None:
        """Settle one of the open parts."""
        if self.open:
            place = sorted(self.open)[index % len(self.open)]
            self.open.remove(place)
            self.held_since[place] = self.now_ns
            self.order.hold(place, place, self.now_ns)

    def release(self) -> list[tuple[Place, bool]]:
        """Release what may go."""
        found = [(one.item, one.late) for one in self.order.release(iter(self.open), self.now_ns)]
        self.released += found
        return found

    def waiting(self) -> set[Place]:
        """Return what is settled and not released."""
        return self.held_since.keys() - {place for place, _ in self.released}


places = st.tuples(st.integers(0, 30), st.sampled_from("ab"))
events = st.lists(
    st.one_of(
        st.tuples(st.just("see"), places),
        st.tuples(st.just("settle"), st.integers(0, 30)),
        st.tuples(st.just("run"), st.integers(1, 60)),
        st.tuples(st.just("release"), st.just(0)),
    ),
    max_size=80,
)


def _play(script: Script, happened: list[tuple[str, Any]]) -> None:
    for event, value in happened:
        match event:
            case "see":
                script.see(value)
            case "settle":
                script.settle(value)
            case "run":
                script.now_ns += value
            case _:
                script.release()


@given(events)
def test_nothing_is_lost_doubled_or_held_beyond_the_bounds(happened: list[tuple[str, Any]]) -> None:
    """Each settled part comes out once; after a release no more than `most` wait, none of them for too long."""
    script = Script()
    for event in happened:
        _play(script, [event])
        script.release()
        assert len(script.order) == len(script.waiting()) <= MOST
        assert all(script.now_ns - script.held_since[place] < LONGEST_NS for place in script.waiting())
    script.open.clear()
    script.release()
    assert sorted(place for place, _ in script.released) == sorted(script.held_since)


@given(events)
def test_a_part_waits_for_no_more_than_it_must(happened: list[tuple[str, Any]]) -> None:
    """What still waits has an open part before it, and each release is in capture order."""
    script = Script()
    for event in happened:
        _play(script, [event])
        going = [place for place, _ in script.release()]
        assert going == sorted(going)
        assert all(min(script.open) < place for place in script.waiting())


@given(events)
def test_late_is_what_comes_after_a_later_capture(happened: list[tuple[str, Any]]) -> None:
    """Bounds or late announcements: whatever is released behind a later capture says so, and nothing else does."""
    script = Script()
    _play(script, happened)
    script.open.clear()
    script.release()
    sequence = [place for place, _ in script.released]
    for index, (place, late) in enumerate(script.released):
        assert late == any(earlier > place for earlier in sequence[:index])


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abc")), unique=True), st.randoms(use_true_random=False))
def test_what_is_announced_in_order_is_released_in_order(captured: list[Place], chance: Any) -> None:  # noqa: ANN401 - hypothesis' own
    """Parts announced as they are captured and settled at random: the released order is that of the captures."""
    script = Script(longest_ns=10_000, most=10_000)
    for place in sorted(captured):
        script.see(place)
        for _ in range(chance.randrange(3)):
            script.settle(chance.randrange(100))
            script.release()
    while script.open:
        script.settle(chance.randrange(100))
        script.release()
    assert script.released == [(place, False) for place in sorted(captured)]


line_events = st.lists(
    st.one_of(
        st.just(("see", 0.0)),
        st.tuples(st.just("say"), st.floats(0, 1)),
        st.tuples(st.just("run"), st.sampled_from([0.01, 0.2, 0.7])),
    ),
    max_size=25,
)


@given(line_events)
@settings(max_examples=40, deadline=None)
def test_a_line_records_in_capture_order_whatever_order_verdicts_come_in(script: list[tuple[str, float]]) -> None:
    """Parts one after the other, verdicts in any order or never: bus and store hold them as they were captured."""
    asyncio.run(_run(script))


async def _run(script: list[tuple[str, float]]) -> None:
    plant = Plant()
    await plant.start()
    announced: list[str] = []
    for event, value in script:
        match event:
            case "see":
                announced.append(f"p{len(announced):03}")
                await plant.announce(announced[-1])
                await plant.run(0.01)
            case "say" if announced:
                await plant.say(announced[min(int(value * len(announced)), len(announced) - 1)], 0.5)
            case _:
                await plant.run(value)
    await plant.run(2)
    assert [decision.part_id for decision in await plant.published()] == announced
    stored = await plant.store.decisions("line-1", newest=100)
    assert [decision.part_id for decision in reversed(stored)] == announced
    await plant.stop()
    await plant.store.close()
