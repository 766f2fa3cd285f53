"""Values that end by themselves: for a reader at once, and in memory as the store goes on, a few with each step."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from itertools import count
from math import inf
from typing import Any, Final, Generic, TypeVar

from shared.clock import NS_PER_S, Clock

SWEPT: Final = 8
"""So many ends are looked at whenever a value is put, which notes one at most: none is left behind for long."""
_NEVER_NS: Final = 2**63
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Ends:
    """When the values of a store end, of all its places: the next one first.

    A value that is put again has its end moved where it lies, and stands here once: its old end, when it comes, is
    replaced by the new one.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ends: list[tuple[int, int, Expiring[Any, Any], Any]] = []
        self._order = count()

    @property
    def now_ns(self) -> int:
        """Return the clock's monotonic time."""
        return self._clock.monotonic_ns()

    def note(self, ends_ns: int, place: Expiring[Any, Any], key: Hashable) -> None:
        """Come back to a value at this time."""
        if ends_ns < _NEVER_NS:
            heapq.heappush(self._ends, (ends_ns, next(self._order), place, key))

    def sweep(self) -> None:
        """Let go of what has ended, a few at a time."""
        now_ns = self.now_ns
        for _ in range(SWEPT):
            if not self._ends or self._ends[0][0] > now_ns:
                return
            ends_ns, _, place, key = heapq.heappop(self._ends)
            place.end(key, ends_ns, now_ns)

    def __len__(self) -> int:
        """Return how many ends are noted."""
        return len(self._ends)


@dataclass(slots=True)
class _Kept(Generic[V]):
    value: V
    ends_ns: int
    noted_ns: int


class Expiring(Generic[K, V]):
    """Values by their keys, those that were put last at the end. `ended` is told of each value that its time took."""

    def __init__(self, ends: Ends, ended: Callable[[V], None] | None = None) -> None:
        self._ends = ends
        self._ended = ended
        self._kept: dict[K, _Kept[V]] = {}

    def get(self, key: K) -> V | None:
        """Return a value; None once its time is over."""
        kept = self._kept.get(key)
        return None if kept is None or kept.ends_ns <= self._ends.now_ns else kept.value

    def put(self, key: K, value: V, ttl_s: float | None) -> None:
        """Keep a value for so long from now on, or for good, in the place of what was there."""
        self._ends.sweep()
        ends_ns = _NEVER_NS if ttl_s is None else self._ends.now_ns + round(ttl_s * NS_PER_S)
        before = self._kept.pop(key, None)
        noted_ns = ends_ns if before is None else min(before.noted_ns, ends_ns)
        if before is None or ends_ns < before.noted_ns:
            self._ends.note(ends_ns, self, key)
        self._kept[key] = _Kept(value, ends_ns, noted_ns)

    def replace(self, key: K, value: V) -> V:
        """Put a value in the place of one that is there, with the time that it has left; return that one."""
        kept = self._kept[key]
        before, kept.value = kept.value, value
        return before

    def pop(self, key: K) -> V | None:
        """Let go of a value; return it unless its time was over."""
        kept = self._kept.pop(key, None)
        if kept is None:
            return None
        if kept.ends_ns > self._ends.now_ns:
            return kept.value
        self._tell(kept.value)
        return None

    def first(self) -> K | None:
        """Return the key that was put before all others, after those before it whose time was over went."""
        now_ns = self._ends.now_ns
        while self._kept:
            key, kept = next(iter(self._kept.items()))
            if kept.ends_ns > now_ns:
                return key
            del self._kept[key]
            self._tell(kept.value)
        return None

    def end(self, key: K, noted_ns: int, now_ns: int) -> None:
        """Let go of a value if its time is over, for whoever noted its end; else note its new one."""
        kept = self._kept.get(key)
        if kept is None or kept.noted_ns != noted_ns:
            return
        if kept.ends_ns > now_ns:
            kept.noted_ns = kept.ends_ns
            self._ends.note(kept.ends_ns, self, key)
            return
        del self._kept[key]
        self._tell(kept.value)

    def left_s(self, key: K) -> float | None:
        """Return how long a value is still kept, inf for one without an end; None where there is none."""
        kept = self._kept.get(key)
        if kept is None or kept.ends_ns <= self._ends.now_ns:
            return None
        return inf if kept.ends_ns == _NEVER_NS else (kept.ends_ns - self._ends.now_ns) / NS_PER_S

    def newest_first(self) -> Iterator[K]:
        """Yield the keys, that which was put last first."""
        now_ns = self._ends.now_ns
        return (key for key in reversed(self._kept) if self._kept[key].ends_ns > now_ns)

    def __len__(self) -> int:
        """Return how many lie in memory, whether their time is over or not."""
        return len(self._kept)

    def _tell(self, value: V) -> None:
        if self._ended is not None:
            self._ended(value)
