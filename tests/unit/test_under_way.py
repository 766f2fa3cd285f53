"""What an engine has in hand: one batch, or two that share its lanes, and what each of them cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.batching import CostModel
from detector.under_way import Batch, UnderWay
from shared.clock import NS_PER_MS
from shared.domain import Effort

FULL = Effort.FULL


def ms(value: float) -> int:
    """Return nanoseconds."""
    return round(value * NS_PER_MS)


@pytest.mark.parametrize(
    ("lanes", "max_batch", "most", "largest"),
    [(1, 8, 1, 8), (4, 8, 2, 4), (4, 7, 2, 3), (4, 4, 2, 2), (4, 3, 1, 3), (4, 1, 1, 1)],
)
def test_two_batches_are_no_larger_than_one_alone(lanes: int, max_batch: int, most: int, largest: int) -> None:
    """Only an engine that looks at pictures side by side has two."""
    under_way = UnderWay(lanes=lanes, max_batch=max_batch, cost=CostModel())
    assert (under_way.most, under_way.max_batch) == (most, largest)
    for _ in range(most):
        assert not under_way.full
        under_way.begin(largest, FULL, 0)
    assert under_way.full


def test_two_batches_in_turn_cost_what_both_take() -> None:
    """Each begins when the one before the last ends, and waits in the lanes for the last."""
    cost = CostModel()
    under_way = UnderWay(lanes=4, max_batch=8, cost=cost)
    batches = [under_way.begin(4, FULL, ms(0)), under_way.begin(4, FULL, ms(0))]
    for turn in range(1, 101):
        under_way.end(batches.pop(0), ms(28 * turn))
        batches.append(under_way.begin(4, FULL, ms(28 * turn)))
    assert cost.median_ns(4) == cost.p99_ns(4) == ms(28)


def test_two_batches_that_end_at_once_cost_as_much_each() -> None:
    """Neither is taken for one that costs nothing, which no batch would have to wait for."""
    cost = CostModel()
    under_way = UnderWay(lanes=8, max_batch=8, cost=cost)
    for turn in range(100):
        pair = [under_way.begin(4, FULL, ms(80 * turn)) for _ in range(2)]
        for batch in pair:
            under_way.end(batch, ms(80 * (turn + 1)))
    assert cost.median_ns(4) == cost.p99_ns(4) == ms(40)


def test_a_picture_alone_has_all_threads_beside_a_batch_in_lanes() -> None:
    """It is charged what it took of the processor, not its share of the pictures."""
    cost = CostModel()
    under_way = UnderWay(lanes=4, max_batch=8, cost=cost)
    several, one = under_way.begin(4, FULL, ms(0)), under_way.begin(1, FULL, ms(0))
    under_way.end(one, ms(15))
    under_way.end(several, ms(25))
    assert (cost.median_ns(1), several.taken_ns) == (ms(5), ms(20))


@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.integers(0, 50), st.integers(0, 50), st.booleans()), min_size=1, max_size=40
    )
)
def test_all_costs_together_are_the_time_in_which_something_was_under_way(
    steps: list[tuple[int, int, int, bool]],
) -> None:
    """Whatever sizes, pauses and orders of ends there are."""
    cost = Costs()
    under_way = UnderWay(lanes=4, max_batch=8, cost=cost)
    now_ms, busy_ms = 0, 0
    batches: list[Batch] = []
    for size, pause_ms, took_ms, oldest in [*steps, (0, 0, 7, True), (0, 0, 7, True)]:
        if size and not under_way.full:
            now_ms += 0 if batches else pause_ms
            batches.append(under_way.begin(size, FULL, ms(now_ms)))
        if batches:
            now_ms, busy_ms = now_ms + took_ms, busy_ms + took_ms
            if under_way.full or not size:
                under_way.end(batches.pop(0 if oldest else -1), ms(now_ms))
    assert not batches
    assert sum(cost.told_ns) == pytest.approx(ms(busy_ms), abs=len(steps) + 2)


class Costs(CostModel):
    """Keeps all that it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.told_ns: list[int] = []

    def observe(self, size: int, cost_ns: int, effort: Effort = FULL) -> None:
        """Keep it."""
        self.told_ns.append(cost_ns)
        super().observe(size, cost_ns, effort)


def test_a_batch_after_a_pause_costs_from_its_own_beginning() -> None:
    """Nobody worked in the pause."""
    cost = CostModel()
    under_way = UnderWay(lanes=1, max_batch=8, cost=cost)
    under_way.end(under_way.begin(1, FULL, ms(0)), ms(10))
    under_way.end(under_way.begin(1, FULL, ms(100)), ms(110))
    assert cost.median_ns(1) == ms(10)


def test_it_is_free_when_all_that_is_under_way_should_be_done() -> None:
    """By the batches' usual costs, less what they have had; late ones should be done any moment."""
    cost = CostModel()
    cost.observe(4, ms(28))
    under_way = UnderWay(lanes=4, max_batch=8, cost=cost)
    assert under_way.free_ns(ms(3)) == ms(3)
    first = under_way.begin(4, FULL, ms(10))
    assert under_way.free_ns(ms(15)) == ms(38)
    under_way.begin(4, FULL, ms(15))
    assert under_way.free_ns(ms(15)) == ms(66)
    assert under_way.free_ns(ms(20)) == ms(66)
    under_way.end(first, ms(65))
    assert under_way.free_ns(ms(65)) == ms(83), "the second had a fifth of the 50 ms"
    assert under_way.free_ns(ms(99)) == ms(99)


def test_a_batch_that_overtakes_the_first_costs_something() -> None:
    """One seen for nothing once would make all larger ones look free."""
    cost = CostModel()
    under_way = UnderWay(lanes=4, max_batch=8, cost=cost)
    under_way.begin(4, FULL, ms(0))
    under_way.end(under_way.begin(3, FULL, ms(0)), ms(50))
    assert cost.median_ns(3) == ms(10)


def test_what_nobody_has_learned_yet_delays_nobody() -> None:
    """A guess must not make frames too late that are in time."""
    under_way = UnderWay(lanes=4, max_batch=8, cost=CostModel())
    under_way.begin(4, FULL, ms(0))
    assert under_way.free_ns(ms(1)) == ms(1)
