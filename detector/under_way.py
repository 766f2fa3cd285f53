"""The batches that an engine has in hand. Pure: time is passed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from detector.batching import CostModel
    from shared.domain import Effort

_IN_LANES: Final = 2
_FEWEST: Final = 2
_LANES_A_THREAD: Final = 2


@dataclass(slots=True, eq=False)
class Batch:
    """So many frames, looked at with one effort, and what they have cost until now."""

    size: int
    effort: Effort
    taken_ns: float = 0.0


class UnderWay:
    """One batch at a time, or two where an engine looks at the pictures of a batch side by side.

    When the first leaves lanes idle, the second has them. Together they are no larger than one batch alone could be. A
    batch that would be of one picture gains nothing by it: that has all threads to itself.

    Time that two batches share counts for both, by the threads that each has, so that all costs together are the time
    that was spent: by the ends alone, of two that end at once one would have cost everything and the other nothing.
    """

    def __init__(self, *, lanes: int, max_batch: int, cost: CostModel) -> None:
        self.most = _IN_LANES if lanes > 1 and max_batch >= _FEWEST * _IN_LANES else 1
        self.max_batch = max_batch // self.most
        """The largest batch."""
        self._lanes = lanes
        self._cost = cost
        self._batches: list[Batch] = []
        self._at_ns = 0

    @property
    def full(self) -> bool:
        """Say whether the engine takes no more now."""
        return len(self._batches) >= self.most

    def free_ns(self, now_ns: int) -> int:
        """Return when it should be done with all of them, by what such batches cost; now, if nothing is known."""
        self._share(now_ns)
        known = (batch for batch in self._batches if self._cost.knows(batch.effort))
        left_ns = (self._cost.median_ns(batch.size, batch.effort) - batch.taken_ns for batch in known)
        return now_ns + round(sum(max(0.0, left) for left in left_ns))

    def begin(self, size: int, effort: Effort, now_ns: int) -> Batch:
        """Note a batch that the engine is given."""
        self._share(now_ns)
        batch = Batch(size, effort)
        self._batches.append(batch)
        return batch

    def end(self, batch: Batch, now_ns: int) -> None:
        """Note that it is answered, and learn what it cost."""
        self._share(now_ns)
        self._batches.remove(batch)
        self._cost.observe(batch.size, round(batch.taken_ns), batch.effort)

    def _share(self, now_ns: int) -> None:
        """Let the batches under way share what has passed since the last look, by the threads that each has."""
        threads = self._threads()
        for batch, has in zip(self._batches, threads, strict=True):
            batch.taken_ns += (now_ns - self._at_ns) * has / sum(threads)
        self._at_ns = now_ns

    def _threads(self) -> list[int]:
        """Return how many threads each batch has: the first comes first to the lanes; one picture needs none."""
        free, found = self._lanes, []
        for batch in self._batches:
            if batch.size == 1:
                found.append(max(1, self._lanes // _LANES_A_THREAD))
            else:
                # One that has no lane yet may still end first, and must not be taken for one that costs nothing.
                found.append(max(1, min(batch.size, free)))
                free = max(0, free - batch.size)
        return found
