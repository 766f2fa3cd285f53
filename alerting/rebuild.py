"""What a store that was emptied or set back takes in again from the `decisions` topic, before anything is claimed."""

from __future__ import annotations

from typing import Final

from shared.bus.base import Bus
from shared.clock import NS_PER_S
from shared.domain import Decision
from shared.errors import WireError
from shared.ledger.chain import LedgerRecord
from shared.ledger.message import from_message
from shared.partition_plan import PartitionPlan
from shared.store.base import Store
from shared.topics import Topics
from shared.wire import decode

_GLANCE: Final = 64
"""How many of the newest records are looked at to learn that nothing is lost."""
_RESTORED: Final = 10_000
_AT_ONCE: Final = 200
_SLACK: Final = 0.9
"""A store may have let a part go a little before its time, by the difference of two clocks."""


class Rebuilder:
    """Compares store and topic, and makes the store whole.

    The newest record is restored last: where it is known, a rebuilding was not cut off.
    """

    def __init__(self, *, bus: Bus, store: Store, topics: Topics, plan: PartitionPlan, retention_s: float) -> None:
        self._bus = bus
        self._store = store
        self._topics = topics
        self._plan = plan
        self._kept_ns = round(retention_s * _SLACK * NS_PER_S)

    async def rebuild(self, line: str, *, utc_ns: int, token: int | None, lost: bool = False) -> int:
        """Return how many parts the store had lost; raises `StoreError` or `BusError` when one is away.

        Unless data is known to be `lost` a store that knows the newest record is taken to be whole.
        """
        since_ns = utc_ns - self._kept_ns
        if not lost:
            glanced = await self._newest(line, _GLANCE, since_ns)
            if not glanced or await self._store.ledger_record(line, glanced[-1][1]) is not None:
                return 0
        known = [record for record, _ in await self._newest(line, _RESTORED, since_ns)]
        restored = 0
        for start in range(0, len(known), _AT_ONCE):
            restored += await self._store.restore(known[start : start + _AT_ONCE], token=token)
        return restored

    async def _newest(self, line: str, newest: int, since_ns: int) -> list[tuple[LedgerRecord, str]]:
        """Return the line's records on the topic and their parts, oldest first, of which a store still knows."""
        found: dict[str, LedgerRecord] = {}
        async for message in self._bus.history(self._topics.decisions, self._plan.of_line(line), newest=newest):
            try:
                decision, _ = decode(Decision, message.value)
                record = from_message(message.value)
            except WireError:
                continue
            if decision.line == line and decision.decided_at_ns >= since_ns:
                found.setdefault(decision.part_id, record)
        return [(record, part_id) for part_id, record in found.items()]
