"""What holds for any run of outcomes."""

from __future__ import annotations

from itertools import takewhile

from hypothesis import given
from hypothesis import strategies as st

from alerting.runs import RunWatch
from shared.domain import Outcome
from shared.policy import RunPolicy

rules = st.builds(
    RunPolicy,
    rejects_in_a_row=st.none() | st.integers(1, 5),
    share_percent=st.none() | st.integers(0, 99),
    share_parts=st.integers(1, 8),
)
outcomes = st.lists(st.sampled_from(Outcome), max_size=40)


def too_much(rules: RunPolicy, inspected: list[bool]) -> tuple[bool, bool]:
    """Return whether the row and the share are too much after these parts, by counting them all."""
    row = sum(1 for _ in takewhile(bool, reversed(inspected)))
    window = inspected[-rules.share_parts :]
    full = len(window) == rules.share_parts
    share = rules.share_percent
    return (
        rules.rejects_in_a_row is not None and row >= rules.rejects_in_a_row,
        share is not None and full and 100 * sum(window) > share * len(window),
    )


@given(rules, outcomes)
def test_each_excess_is_told_exactly_when_it_begins(rules: RunPolicy, parts: list[Outcome]) -> None:
    """Never before, never twice, and never missed."""
    watch = RunWatch(rules)
    inspected: list[bool] = []
    stood = (False, False)
    for outcome in parts:
        told = len(watch.observe(outcome))
        if outcome is Outcome.DEFAULT_REJECT:
            assert not told
            continue
        inspected.append(outcome is Outcome.REJECT)
        stands = too_much(rules, inspected)
        assert told == sum(now and not before for now, before in zip(stands, stood, strict=True))
        stood = stands


@given(rules, outcomes, st.integers(1, 5))
def test_a_row_that_goes_on_over_a_change_of_the_rules_counts_whole(
    old: RunPolicy, before: list[Outcome], more: int
) -> None:
    """As far back as the old rules remembered."""
    watch = RunWatch(old)
    for outcome in before:
        watch.observe(outcome)
    row = sum(1 for _ in takewhile(bool, reversed(watch.seen)))
    changed = RunWatch(RunPolicy(rejects_in_a_row=row + more), watch.seen)
    assert [len(changed.observe(Outcome.REJECT)) for _ in range(more)] == [0] * (more - 1) + [1]
