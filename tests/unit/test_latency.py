import math

import pytest

from shared.latency import bucket_of, percentile_ms, upper_bound_ms


@pytest.mark.parametrize("latency_ms", [0.0, -5.0, 0.01, 0.0101, 1.0, 87.3, 1e6, 1e12])
def test_a_latency_lies_in_its_bucket(latency_ms: float) -> None:
    """Not above the bucket's bound, and no more than 2 % below it."""
    bound_ms = upper_bound_ms(bucket_of(latency_ms))
    assert max(latency_ms, 0.01) <= bound_ms <= max(latency_ms, 0.01) * 1.0201


def test_bucket_edges_are_never_understated() -> None:
    """Just above a bucket's bound is the next bucket, in spite of rounding."""
    for bucket in range(2_000):
        above_ms = math.nextafter(upper_bound_ms(bucket), math.inf)
        assert upper_bound_ms(bucket_of(above_ms)) >= above_ms


def test_nothing_counted_has_no_percentile() -> None:
    """There is no latency to speak of."""
    assert percentile_ms({}, 99) is None
    assert percentile_ms({3: 0}, 99) is None


def test_percentiles_are_nearest_ranks() -> None:
    """Of 100 latencies the 99th is the second highest."""
    buckets = {10: 98, 20: 1, 30: 1}
    assert percentile_ms(buckets, 98) == upper_bound_ms(10)
    assert percentile_ms(buckets, 99) == upper_bound_ms(20)
    assert percentile_ms(buckets, 100) == upper_bound_ms(30)
    assert percentile_ms(buckets, 0) == upper_bound_ms(10)
