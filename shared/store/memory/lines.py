"""The lines' part of the embedded store: state, counters and lease."""

from __future__ import annotations

from collections.abc import Mapping

from shared.store.base import LeaseRecord, LineCounters
from shared.store.counting import line_counters
from shared.store.memory.core import MemoryCore
from shared.store.memory.data import Tally


class MemoryLines(MemoryCore):
    """What `MemoryStore` does about a line as a whole."""

    async def set_state(self, line: str, fields: Mapping[str, str]) -> None:
        """Merge fields. A line says how it stands though it makes nothing: what has ended goes all the same."""
        self.data.ends.sweep()
        self._line(line).state.update(fields)

    async def state(self, line: str) -> dict[str, str]:
        """Return the fields."""
        return dict(self._line(line).state)

    async def count(self, line: str, **increments: int) -> None:
        """Add to counters."""
        counts = self._line(line).tally.counts
        for name, increment in increments.items():
            counts[name] += increment

    async def counters(self, line: str) -> LineCounters:
        """Return the counters."""
        return _counters(self._line(line).tally)

    async def shift_counters(self, line: str, shift: str) -> LineCounters:
        """Return the shift's own; one that nobody counted in is all zeros."""
        return _counters(self._line(line).shifts.get(shift) or Tally())

    async def lease(self, line: str) -> LeaseRecord | None:
        """Return the record."""
        return self._line(line).lease

    async def move_lease(self, line: str, to: LeaseRecord, *, instead_of: LeaseRecord | None) -> bool:
        """Compare and set."""
        record = self._line(line)
        if record.lease != instead_of:
            return False
        record.lease = to
        return True


def _counters(tally: Tally) -> LineCounters:
    return line_counters(tally.counts, dict(tally.latency))
