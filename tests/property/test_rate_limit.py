"""What a rate limit lets through, whenever exposures come."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from ingest.limit import RateLimit
from shared.clock import NS_PER_S

gaps_ns = st.lists(st.integers(0, NS_PER_S), min_size=1, max_size=50)
rates_hz = st.floats(0.5, 500)


@given(gaps_ns, rates_hz)
def test_no_stretch_of_time_holds_more_than_the_rate_and_two(gaps: list[int], rate_hz: float) -> None:
    """Between any two admitted exposures lie at most rate times time, and one early one."""
    limit, now_ns, admitted = RateLimit(rate_hz), 0, []
    for gap_ns in gaps:
        now_ns += gap_ns
        if limit.admits(now_ns):
            admitted.append(now_ns)
    for first, start_ns in enumerate(admitted):
        for count, end_ns in enumerate(admitted[first:], start=1):
            assert count <= (end_ns - start_ns) / NS_PER_S * rate_hz * 1.001 + 2


@given(st.lists(st.floats(0, 0.9), min_size=1, max_size=50), st.floats(0.5, 100))
def test_a_camera_at_its_rate_is_never_held(jitters: list[float], rate_hz: float) -> None:
    """Exposures may come early by most of a period, as long as they keep their rate."""
    limit = RateLimit(rate_hz)
    period_ns = NS_PER_S / rate_hz
    times = [round((turn + jitter) * period_ns) for turn, jitter in enumerate(jitters)]
    assert all(limit.admits(at_ns) for at_ns in times)


@given(gaps_ns)
def test_without_a_limit_everything_goes(gaps: list[int]) -> None:
    """None admits all."""
    limit = RateLimit(None)
    assert all(limit.admits(now_ns) for now_ns in accumulate(gaps))
