"""A cancellation that a library lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def cancellation_kept() -> Iterator[None]:
    """Raise CancelledError at the end of the block if this task was cancelled, whatever became of it inside.

    Needed around libraries that wait with `asyncio.wait_for`, which before Python 3.12 loses a cancellation that meets
    the awaited answer (CPython issue 86296): the task would run on, and whoever stops it would wait for it forever.
    """
    try:
        yield
    finally:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError
