"""Latencies in logarithmic buckets: bounded, mergeable over processes, percentiles to within one bucket (2 %)."""

from __future__ import annotations

import math
from collections.abc import Mapping

GROWTH = 1.02
_SMALLEST_MS = 0.01


def bucket_of(latency_ms: float) -> int:
    """Return the bucket of a latency: bucket k holds (0.01 * 1.02^k, 0.01 * 1.02^(k+1)] milliseconds."""
    bucket = max(0, math.ceil(math.log(max(latency_ms, _SMALLEST_MS) / _SMALLEST_MS, GROWTH)) - 1)
    # The logarithm is rounded: at a bucket's very edge it can be one off, which would understate.
    return bucket if latency_ms <= upper_bound_ms(bucket) else bucket + 1


def upper_bound_ms(bucket: int) -> float:
    """Return the largest latency of a bucket, in milliseconds."""
    return _SMALLEST_MS * GROWTH ** (bucket + 1)


def percentile_ms(buckets: Mapping[int, int], percent: float) -> float | None:
    """Return the nearest-rank percentile (never understated), or None when nothing was counted."""
    total = sum(buckets.values())
    if not total:
        return None
    rank = max(1, math.ceil(total * percent / 100))
    seen = 0
    for bucket in sorted(buckets):
        seen += buckets[bucket]
        if seen >= rank:
            return upper_bound_ms(bucket)
    raise AssertionError("unreachable: the ranks of all buckets were passed")
