"""Work on several pictures side by side, in a few threads of an engine's own."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")
R = TypeVar("R")


class Lanes:
    """`count` threads; with one, everything runs in the caller's. They end with the process, and hold nothing."""

    def __init__(self, count: int = 1) -> None:
        self.count = count
        self._here = threading.local()
        self._pool = (
            ThreadPoolExecutor(count, thread_name_prefix="lane", initializer=self._enter) if count > 1 else None
        )

    @property
    def inside(self) -> bool:
        """Whether the caller is in one of the lanes, beside others: it should keep to one core."""
        return bool(getattr(self._here, "inside", False))

    def each(self, work: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """Return what `work` makes of each item, in their order; the first error of any is raised."""
        if self._pool is None or len(items) < 2 or self.inside:  # noqa: PLR2004 - one needs no second thread
            return [work(item) for item in items]
        return list(self._pool.map(work, items))

    def _enter(self) -> None:
        self._here.inside = True
