"""What an engine has in hand: one batch, or two that share its lanes, and what each of them cost."""

from __future__ import annotations

import pytest

from detector.batching import CostModel
from detector.under_way import UnderWay
from shared.clock import NS_PER_MS
from shared.domain import Effort

FULL = Effort.FULL


def ms(value: float) -> int:
    """Return nanoseconds."""
    return round(value * NS_PER_MS)


@pytest.mark.parametrize(
    ("lanes", "max_batch", "most", "largest"), [(1, 8, 1, 8), (4, 8, 2, 4), (4, 7, 2, 3), (4, 2, 2, 1), (4, 1, 1, 1)]
)
def test_two_batches_are_no_larger_than_one_alone(lanes: int, max_batch: int, most: int, largest: int) -> None:
    """Only an engine that looks at pictures side by side has two."""
    under_way = UnderWay(lanes=lanes, max_batch=max_batch, cost=CostModel())
    assert (under_way.most, under_way.max_batch) == (most, largest)
    for _ in range(most):
        assert not under_way.full
        under_way.begin(largest, FULL, 0)
    assert under_way.full


def test_two_batches_together_cost_what_both_take() -> None:
    """The second waits in the lanes for the first: what it waits for is the first one's cost, and not its own."""
    cost = CostModel()
    under_way = UnderWay(lanes=4, max_batch=8, cost=cost)
    first, second = under_way.begin(4, FULL, ms(0)), under_way.begin(4, FULL, ms(5))
    under_way.end(first, ms(28))
    third = under_way.begin(4, FULL, ms(28))
    under_way.end(second, ms(56))
    under_way.end(third, ms(84))
    assert cost.median_ns(4) == cost.p99_ns(4) == ms(28)


def test_a_batch_after_a_pause_costs_from_its_own_beginning() -> None:
    """Nobody worked in the pause."""
    cost = CostModel()
    under_way = UnderWay(lanes=1, max_batch=8, cost=cost)
    under_way.end(under_way.begin(1, FULL, ms(0)), ms(10))
    under_way.end(under_way.begin(1, FULL, ms(100)), ms(110))
    assert cost.median_ns(1) == ms(10)


def test_it_is_free_when_all_that_is_under_way_should_be_done() -> None:
    """By the batches' usual costs, one after the other; late ones should be done any moment."""
    cost = CostModel()
    cost.observe(4, ms(28))
    under_way = UnderWay(lanes=4, max_batch=8, cost=cost)
    assert under_way.free_ns(ms(3)) == ms(3)
    first = under_way.begin(4, FULL, ms(0))
    assert under_way.free_ns(ms(5)) == ms(28)
    under_way.begin(4, FULL, ms(5))
    assert under_way.free_ns(ms(5)) == ms(56)
    assert under_way.free_ns(ms(40)) == ms(68), "the first is late, the second begins after it"
    under_way.end(first, ms(40))
    assert under_way.free_ns(ms(41)) == ms(68)
    assert under_way.free_ns(ms(99)) == ms(99)
