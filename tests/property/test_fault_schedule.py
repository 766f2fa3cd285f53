"""The campaign's schedule, for any seed and length."""

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from deploy.faults.schedule import EVERY_FAULT, SLOT_S, FaultKind, schedule

seeds = st.integers(0, 2**32 - 1)
minutes = st.floats(0.5, 60)


@given(seeds, minutes)
def test_faults_come_one_after_the_other_within_the_time(seed: int, length: float) -> None:
    """Each begins after the one before was meant to end, and all end with the campaign."""
    faults = schedule(seed, length)
    for earlier, later in pairwise(faults):
        assert earlier.at_s + earlier.for_s < later.at_s
    assert all(fault.at_s + fault.for_s < length * 60 for fault in faults)


@given(seeds, minutes)
def test_every_fault_comes_about_equally_often(seed: int, length: float) -> None:
    """None is a whole round ahead of another."""
    counts = Counter((fault.kind, fault.target) for fault in schedule(seed, length))
    times = [counts[fault] for fault in EVERY_FAULT]
    assert max(times) - min(times) <= 1


@given(seeds)
def test_twenty_minutes_hold_every_fault_five_times(seed: int) -> None:
    """What the campaign promises."""
    counts = Counter((fault.kind, fault.target) for fault in schedule(seed, 20))
    assert min(counts[fault] for fault in EVERY_FAULT) >= 5


@given(seeds, st.sets(st.sampled_from(FaultKind)))
def test_what_is_left_out_does_not_come(seed: int, without: set[FaultKind]) -> None:
    """And with everything left out nothing comes."""
    faults = schedule(seed, 5, without=frozenset(without))
    assert not {fault.kind for fault in faults} & without
    assert bool(faults) == (without != set(FaultKind))


def test_a_seed_gives_the_same_schedule() -> None:
    """So that what a campaign found can be looked at again; another seed gives another."""
    assert schedule(7, 20) == schedule(7, 20) != schedule(8, 20)
    assert SLOT_S * len(schedule(7, 20)) <= 20 * 60
