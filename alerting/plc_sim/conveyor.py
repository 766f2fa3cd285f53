"""A belt with an encoder: parts sit at encoder counts, and the belt's motion carries them to the gate."""

from __future__ import annotations

import math
from bisect import insort
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from shared.clock import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from alerting.plc_sim.encoder import Encoder
    from alerting.plc_sim.speed import SpeedProfile

ItemT = TypeVar("ItemT")
_SPEED_OVER_NS: Final = 10_000_000
"""Short enough to follow a ramp, and many counts long at any speed that matters."""


@dataclass(order=True, slots=True)
class Carried(Generic[ItemT]):
    """An item on the belt: at `gate_counts` the PLC takes it to be at the gate, where `place_mm` says that it is."""

    gate_counts: int
    item: ItemT = field(compare=False)
    place_mm: float = field(compare=False)


class Conveyor(Generic[ItemT]):
    """Items on a belt that moves as its profile says; whoever owns the belt says for how long it ran."""

    def __init__(self, profile: SpeedProfile, encoder: Encoder) -> None:
        self.profile = profile
        self.encoder = encoder
        self._ran_ns = 0
        self._items: list[Carried[ItemT]] = []

    def __len__(self) -> int:
        return len(self._items)

    @property
    def ran_ns(self) -> int:
        """Return for how long the belt was allowed to run."""
        return self._ran_ns

    @property
    def items(self) -> Sequence[Carried[ItemT]]:
        """Return what is on its way to the gate, the next one first."""
        return self._items

    @property
    def position_mm(self) -> float:
        """Return how far the belt has really moved."""
        return self.profile.position_mm(self._ran_ns)

    @property
    def encoder_counts(self) -> int:
        """Return what the encoder's counter shows."""
        return self.encoder.counts_at(self.position_mm)

    @property
    def counts_per_s(self) -> float:
        """Return the speed as the PLC measures it, over the last few milliseconds; 0 for a belt that runs backwards."""
        before_ns = max(0, self._ran_ns - _SPEED_OVER_NS)
        if before_ns == self._ran_ns:
            return 0.0
        moved = self.encoder_counts - self.encoder.counts_at(self.profile.position_mm(before_ns))
        return max(0.0, moved * NS_PER_S / (self._ran_ns - before_ns))

    def run(self, duration_ns: int) -> None:
        """Move the belt for `duration_ns` of running time."""
        self._ran_ns += max(0, duration_ns)

    def load(self, item: ItemT, travel_ns: int) -> Carried[ItemT]:
        """Put an item on the belt that reaches the gate after `travel_ns` at the belt's highest speed.

        At a lower speed it comes later, and never earlier than it was told.
        """
        place_mm = self.position_mm + self.profile.top_mm_s * travel_ns / NS_PER_S
        # Rounded up to whole counts: an item is never at the gate before its time.
        return self._put(Carried(math.ceil(place_mm * self.encoder.counts_per_mm - 1e-6), item, place_mm))

    def load_seen(self, item: ItemT, distance_mm: float, *, seen_mm: float) -> Carried[ItemT]:
        """Put an item on the belt whose edge the photo-eye saw, `distance_mm` before the gate, at the belt's `seen_mm`.

        All that the PLC knows of it is what its counter showed then.
        """
        counts = self.encoder.counts_at(seen_mm) + round(distance_mm * self.encoder.counts_per_mm)
        return self._put(Carried(counts, item, seen_mm + distance_mm))

    def at_gate(self, early_counts: int = 0) -> Iterator[Carried[ItemT]]:
        """Take off, in order, each item that has come within `early_counts` of the gate."""
        while self._items and self._items[0].gate_counts - early_counts <= self.encoder_counts:
            yield self._items.pop(0)

    def until_ns(self, counts: int) -> int | None:
        """Return how long the belt runs until its counter shows `counts`; None for never."""
        at_ns = self.profile.first_ns(self.encoder.edge_mm(counts), self._ran_ns)
        return None if at_ns is None else at_ns - self._ran_ns

    def _put(self, carried: Carried[ItemT]) -> Carried[ItemT]:
        insort(self._items, carried)
        return carried
