"""Times that take turns, breakdowns that must add up, and the tracer that measures their parts."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.speed.timing import Breakdown, breakdown_of, ratio_of, timing_of, typical_turns
from deploy.speed.tracing import Span, Tracer

MS = 1_000_000


def test_other_work_on_the_machine_moves_a_mean_little() -> None:
    """One turn in five that took a hundred times as long leaves it alone."""
    timing = timing_of([10 * MS] * 9 + [1_000 * MS], different=2)
    assert (timing.mean_ms, timing.per_s) == (10, 100)
    assert timing.p99_ms > 900


def test_pictures_that_take_longer_keep_their_weight() -> None:
    """One of four is looked at twice: that is a quarter of the mean, however often the four are shown."""
    timing = timing_of([10 * MS, 10 * MS, 10 * MS, 50 * MS] * 5, different=4)
    assert timing.mean_ms == 20


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=50), st.integers(1, 12))
def test_each_picture_has_one_typical_turn(times_ns: list[int], different: int) -> None:
    """Of its own, with as many turns below as above it, or one less."""
    turns = typical_turns(times_ns, different)
    assert [turn % different for turn in turns] == list(range(min(different, len(times_ns))))
    for turn in turns:
        own = times_ns[turn % different :: different]
        assert sum(one < times_ns[turn] for one in own) <= len(own) / 2
        assert sum(one > times_ns[turn] for one in own) <= len(own) / 2


def test_a_machine_that_slows_down_slows_both_sides() -> None:
    """A ratio is taken turn by turn."""
    ours = [10, 20, 40, 80, 160]
    assert ratio_of([2 * one for one in ours], ours) == 2


@pytest.mark.parametrize(("whole", "adds_up"), [(100, True), (102, True), (104, False), (96, False)])
def test_parts_that_miss_the_whole_do_not_add_up(whole: int, adds_up: bool) -> None:
    """By more than three per cent, in either direction."""
    parts = [{"a": 60 * MS, "b": 40 * MS}] * 4
    breakdown = breakdown_of(parts, [whole * MS] * 4, different=1)
    assert (breakdown.parts_ms, breakdown.sum_ms) == ({"a": 60, "b": 40}, 100)
    assert breakdown.adds_up is adds_up


def test_a_part_that_comes_now_and_then_counts_by_its_share() -> None:
    """What refines one picture of three costs a third for each."""
    parts = [{"a": 10 * MS}, {"a": 10 * MS}, {"a": 10 * MS, "again": 6 * MS}] * 3
    assert breakdown_of(parts, [12 * MS] * 9, different=3).parts_ms["again"] == 2
    assert Breakdown({"a": 1.0}, 0.0).adds_up


class Workshop:
    """A clock that work moves, and the functions that work: `outer` calls `inner`, `again` calls both."""

    def __init__(self) -> None:
        self.now = 0
        self.module = SimpleNamespace(inner=lambda: self.work(2), outer=self._outer, again=self._again)

    def work(self, units: int) -> None:
        """Take so long."""
        self.now += units

    def _outer(self) -> None:
        self.work(3)
        self.module.inner()

    def _again(self) -> None:
        self.module.outer()

    def tracer(self, *parts: str, opaque: str = "") -> Tracer:
        """Return a tracer of these functions, each a part by its own name."""
        return Tracer([Span(self.module, name, name, opaque=name == opaque) for name in parts], lambda: self.now)


def test_a_parts_time_is_its_own() -> None:
    """What is inside it counts for the other part, and all of it is put back."""
    shop = Workshop()
    originals = dict(vars(shop.module))
    with shop.tracer("inner", "outer") as tracer:
        shop.module.outer()
        assert tracer.take() == {"inner": 2, "outer": 3}
        assert tracer.take() == {}
    assert vars(shop.module) == originals


def test_an_opaque_part_keeps_what_it_calls() -> None:
    """A second look runs the encoder, which is not the encoder's share."""
    shop = Workshop()
    with shop.tracer("inner", "outer", "again", opaque="again") as tracer:
        shop.module.again()
        shop.module.inner()
        assert tracer.take() == {"again": 5, "inner": 2}


def test_a_span_that_is_gone_is_an_error() -> None:
    """A part that no longer exists must not vanish from the figures unseen, and nothing stays wrapped."""
    shop = Workshop()
    originals = dict(vars(shop.module))
    with pytest.raises(KeyError), shop.tracer("inner", "gone"):
        pass
    assert vars(shop.module) == originals


def test_another_threads_calls_are_not_counted() -> None:
    """They would count twice, beside the one that waits for them."""
    shop = Workshop()
    with shop.tracer("inner") as tracer:
        thread = threading.Thread(target=shop.module.inner)
        thread.start()
        thread.join()
        assert tracer.take() == {}


def test_a_call_that_fails_counts_too() -> None:
    """And the parts around it still are told apart."""
    shop = Workshop()

    def fail() -> None:
        shop.work(1)
        raise RuntimeError("spoilt")

    shop.module.inner = fail
    with shop.tracer("inner", "outer") as tracer:
        with pytest.raises(RuntimeError, match="spoilt"):
            shop.module.outer()
        assert tracer.take() == {"inner": 1, "outer": 3}
