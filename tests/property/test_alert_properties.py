"""Whatever happens: few alerts are told, and each happening is counted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from alerting.alerts.bucket import TokenBucket
from alerting.alerts.desk import AlertDesk, AlertLimits
from shared.alerts import KINDS, Handling, key_of
from shared.clock import NS_PER_S
from shared.store.base import Alert
from tests.lines import LINE, T0_NS

SUBJECTS = ["", *(f"camera-{number}" for number in range(12))]
WHAT = [(kind, subject) for kind in sorted(set(KINDS) - {"FLOOD", "ESCALATED"}) for subject in SUBJECTS]
HAPPENINGS = st.lists(st.tuples(st.integers(0, 90), st.sampled_from(WHAT)), max_size=100)


@given(happenings=HAPPENINGS, most=st.integers(1, 10))
def test_no_minute_tells_more_than_its_limit_and_a_flood(
    happenings: list[tuple[int, tuple[str, str]]], most: int
) -> None:
    """A minute holds what the bucket had and what it gained, and a flood for each severity.

    Each happening counts, but for the end of what does not stand.
    """
    desk = AlertDesk(LINE, AlertLimits(most_a_minute=most, repeat_s=10_000, chatter_s=10_000), {})
    told_s = []
    now_s = 0
    floods = 0
    no_news = 0
    for wait_s, (kind, subject) in happenings:
        now_s += wait_s
        now_ns = T0_NS + now_s * NS_PER_S
        standing = {key for key, alert in desk.standing.items() if not alert.cleared_ns}
        told = desk.happened(Alert(LINE, kind, "text", subject=subject), now_ns, Handling())
        ended = {key_of(cleared, subject) for cleared in KINDS[kind].clears} & standing
        assert bool(told) == bool(ended or not KINDS[kind].ends)
        no_news += not told
        for one in told:
            if one.alert is not None and one.alert.kind == "FLOOD":
                floods += 1
            elif one.alert is not None:
                told_s.append(now_s)
    for begin in told_s:
        assert sum(begin <= at < begin + 60 for at in told_s) <= 2 * most
    counted = [alert for alert in desk.standing.values() if alert.kind != "FLOOD"]
    assert sum(alert.count for alert in counted) == len(happenings) - no_news
    assert len(told_s) + sum(alert.held for alert in counted) == len(counted)
    assert bool(floods) == any(alert.held for alert in counted)


@given(most=st.integers(1, 60), steps_ms=st.lists(st.integers(-5_000, 120_000), max_size=200))
def test_a_bucket_gives_no_more_than_its_rate(most: int, steps_ms: list[int]) -> None:
    """Whatever the clock does, and what it held at first on top."""
    bucket = TokenBucket(most)
    now_ns, forward_ns, given_out = T0_NS, 0, 0
    for step in steps_ms:
        now_ns += step * 1_000_000
        forward_ns += max(0, step) * 1_000_000
        given_out += bucket.take(now_ns)
    assert given_out <= most + forward_ns * most / 60e9 + 1e-6
