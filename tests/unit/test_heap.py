"""A process that looks at pictures uses again what it freed."""

from __future__ import annotations

import os
import subprocess
import sys

_ARRAYS = """
import resource, sys
import numpy as np
from detector.runtime.heap import keep_freed_memory

if sys.argv[1] == "kept":
    keep_freed_memory()
for turn in range(110):
    if turn == 10:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(640 * 480 * 3, dtype=np.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def pages_of_a_hundred_frames(how: str) -> int:
    """Return how many pages the kernel handed out, in a process whose C library starts with a fixed threshold."""
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "131072"}
    argv = [sys.executable, "-c", _ARRAYS, how]
    return int(subprocess.run(argv, env=environment, check=True, capture_output=True, text=True).stdout)


def test_freed_arrays_are_used_again() -> None:
    """A frame of 640x480 has 225 pages: a hundred of them take as good as none, or all."""
    assert pages_of_a_hundred_frames("given back") > 20_000
    assert pages_of_a_hundred_frames("kept") < 1_000
