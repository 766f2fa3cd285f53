"""A benchmark of two cores on a machine that has more: all that it starts keeps to them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def on_cores(count: int) -> Iterator[int]:
    """Keep every thread of this process, and what it starts, to the first `count` cores; yield how many there are."""
    before = os.sched_getaffinity(0)
    chosen = set(sorted(before)[:count])
    _keep_to(chosen)
    try:
        yield len(chosen)
    finally:
        _keep_to(before)


def _keep_to(cores: set[int]) -> None:
    for task in Path("/proc/self/task").iterdir():
        # A thread may have ended since it was listed.
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(task.name), cores)
