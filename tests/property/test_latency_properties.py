"""What holds for the percentiles of any latencies."""

from __future__ import annotations

import math
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from shared.latency import bucket_of, percentile_ms

latencies = st.lists(st.floats(0.01, 1e7), min_size=1, max_size=100)


@given(latencies, st.sampled_from([1, 50, 90, 95, 99, 100]))
def test_percentiles_are_never_understated_and_within_two_percent(seen_ms: list[float], percent: int) -> None:
    """Against the nearest rank of the latencies themselves."""
    exact_ms = sorted(seen_ms)[math.ceil(len(seen_ms) * percent / 100) - 1]
    found_ms = percentile_ms(Counter(bucket_of(latency_ms) for latency_ms in seen_ms), percent)
    assert found_ms is not None
    assert exact_ms <= found_ms <= exact_ms * 1.0201


@given(latencies, latencies)
def test_buckets_of_two_processes_add_up(one_ms: list[float], other_ms: list[float]) -> None:
    """Merging counts is the same as having counted together."""
    merged = Counter(map(bucket_of, one_ms)) + Counter(map(bucket_of, other_ms))
    assert merged == Counter(map(bucket_of, one_ms + other_ms))
