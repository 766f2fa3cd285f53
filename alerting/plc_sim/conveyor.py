"""A belt with an encoder: parts sit at encoder counts, and the belt's motion carries them to the gate."""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING, Generic, TypeVar

from shared.clock import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterator

ItemT = TypeVar("ItemT")


class Conveyor(Generic[ItemT]):
    """Items on a belt of constant speed `counts_per_s`; whoever owns the belt says for how long it ran."""

    def __init__(self, counts_per_s: int) -> None:
        self._counts_per_s = counts_per_s
        self._ran_ns = 0
        self._order = itertools.count()
        self._items: list[tuple[int, int, ItemT]] = []

    def __len__(self) -> int:
        return len(self._items)

    @property
    def encoder_counts(self) -> int:
        """Return the encoder's position; it never runs backwards."""
        return self._counts(self._ran_ns)

    def run(self, duration_ns: int) -> None:
        """Move the belt for `duration_ns` of running time."""
        self._ran_ns += max(0, duration_ns)

    def load(self, item: ItemT, travel_ns: int) -> None:
        """Put an item on the belt that reaches the gate after `travel_ns` of running time."""
        # Rounded up to whole counts: an item is never at the gate before its time.
        gate_counts = -self._counts(-(self._ran_ns + travel_ns))
        heapq.heappush(self._items, (gate_counts, next(self._order), item))

    def at_gate(self) -> Iterator[ItemT]:
        """Take off, in order, each item that has reached the gate."""
        while self._items and self._items[0][0] <= self.encoder_counts:
            yield heapq.heappop(self._items)[2]

    def _counts(self, running_ns: int) -> int:
        return running_ns * self._counts_per_s // NS_PER_S
