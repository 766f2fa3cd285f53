"""What a number of good pictures can tell of a threshold; apart from `threshold`, which loads a statistics package."""

from __future__ import annotations

import math


def beyond_what_is_known(pictures: int, threshold: float) -> str | None:
    """Return what to say of a threshold that not one of `pictures` held-out good parts would reach; None if it is not.

    The n-th highest of n independent scores has the expected survival 1 / (n + 1). What lies beyond is the tail's
    extrapolation, which is cautious: it rejects few good parts, and lets defects pass.
    """
    known = math.log10(pictures + 1)
    if threshold <= known:
        return None
    return (
        f"a threshold of {threshold:g} lies beyond what {pictures} good pictures tell, {known:.2f}: it lets defects "
        f"pass. Lower it, or train on {math.ceil(10**threshold)} or more"
    )
