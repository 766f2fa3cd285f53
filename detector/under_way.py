"""The batches that an engine has in hand. Pure: time is passed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from detector.batching import CostModel
    from shared.domain import Effort

_IN_LANES: Final = 2


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """So many frames, looked at with one effort, from an instant on."""

    size: int
    effort: Effort
    began_ns: int


class UnderWay:
    """One batch at a time, or two where an engine looks at the pictures of a batch side by side.

    When the first leaves lanes idle, the second has them. Together they are no larger than one batch alone could be. A
    batch's cost is what it adds to what was under way before it: the costs of two together are what both take.
    """

    def __init__(self, *, lanes: int, max_batch: int, cost: CostModel) -> None:
        self.most = _IN_LANES if lanes > 1 and max_batch >= _IN_LANES else 1
        self.max_batch = max_batch // self.most
        """The largest batch."""
        self._cost = cost
        self._batches: list[Batch] = []
        self._ended_ns = 0

    @property
    def full(self) -> bool:
        """Say whether the engine takes no more now."""
        return len(self._batches) >= self.most

    def free_ns(self, now_ns: int) -> int:
        """Return when it should be done with all of them; now, if it has none."""
        free_ns = now_ns
        for batch in self._batches:
            started_ns = max(batch.began_ns, self._ended_ns) if batch is self._batches[0] else free_ns
            free_ns = max(now_ns, started_ns + self._cost.median_ns(batch.size, batch.effort))
        return free_ns

    def begin(self, size: int, effort: Effort, now_ns: int) -> Batch:
        """Note a batch that the engine is given."""
        batch = Batch(size, effort, now_ns)
        self._batches.append(batch)
        return batch

    def end(self, batch: Batch, now_ns: int) -> None:
        """Note that it is answered, and learn what it cost."""
        self._cost.observe(batch.size, now_ns - max(batch.began_ns, self._ended_ns), batch.effort)
        self._batches.remove(batch)
        self._ended_ns = now_ns
