"""Each settled part takes its place in its line's chain: in the store's own step, on the topic, in the journal.

The store holds the newest record of each chain and moves it in the step that settles a part (ADR 0021), so that two
processes never put two records at one place. A process takes a chain up from the newest record that store, topic and
journal hold, and first sees to it that the topic and the journal have that one: no record is published before the one
that it follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from alerting.journal import Journal
from shared.bus.base import Bus
from shared.clock import Clock
from shared.domain import Decision
from shared.errors import ChainMovedError, StoreUnavailableError, WireError
from shared.ledger.chain import LedgerRecord, Link, decision_bytes, first_link, next_link
from shared.ledger.message import entry_of, from_message, to_message
from shared.log import get_logger
from shared.partition_plan import PartitionPlan
from shared.store.base import Store
from shared.topics import Topics, part_key

_TRIES: Final = 5
_LOOKS: Final = (64, 4_096, 262_144)
"""How many of the newest records are looked through for one of the line's: its partition may have been another's."""


@dataclass(frozen=True, slots=True)
class _Head:
    """What the next record follows, and what the store must hold for it; `origin` where a chain begins."""

    newest: Link | None
    stored: Link | None
    origin: str = ""


class Ledger:
    """The chains of all lines."""

    def __init__(
        self, *, bus: Bus, store: Store, clock: Clock, topics: Topics, plan: PartitionPlan, journal: Journal | None
    ) -> None:
        self._bus = bus
        self._store = store
        self._clock = clock
        self._topics = topics
        self._plan = plan
        self._journal = journal
        self._heads: dict[str, _Head] = {}
        self._log = get_logger("ledger")

    async def settle(
        self, decision: Decision, *, latency_ms: float | None, unconfirmed: bool, token: int | None = None
    ) -> LedgerRecord:
        """Settle a part and return its record; one that was settled before keeps the record that it has.

        May be repeated. Raises `StoreError` or `BusError` when the store, or the topic that is to be taken up, is away.
        """
        line, data = decision.line, decision_bytes(decision)
        for _ in range(_TRIES):
            head = self._heads.get(line) or await self._take_up(line)
            if head.newest is None:
                link = first_link(data, began_ns=self._clock.utc_ns(), origin=head.origin)
            else:
                link = next_link(head.newest, data)
            # Whatever comes of this, it holds no longer: without an answer nobody knows whether it was done.
            self._heads.pop(line, None)
            try:
                first = await self._store.settle(
                    decision,
                    latency_ms=latency_ms,
                    unconfirmed=unconfirmed,
                    link=link,
                    instead_of=head.stored,
                    token=token,
                )
            except ChainMovedError:
                self._log.info("ledger.moved", line=line)
                continue
            if first:
                self._heads[line] = _Head(link, link)
                if head.newest is None:
                    self._log.info("ledger.chain_begins", line=line, part=decision.part_id, origin=link.origin)
                return LedgerRecord(data, link)
            self._heads[line] = head
            return await self.settled(decision)
        raise StoreUnavailableError(
            f"the ledger of line {line!r} moves on again and again", "End the other process that records this line."
        )

    async def settled(self, decision: Decision) -> LedgerRecord:
        """Return the record of a part that was settled."""
        found = await self._store.ledger_record(decision.line, decision.part_id)
        return found or LedgerRecord(decision_bytes(decision), None)

    async def publish(self, record: LedgerRecord, line: str, part_id: str) -> None:
        """Put a record on the topic; again, it is no other record."""
        await self._bus.publish(
            self._topics.decisions, to_message(record), key=part_key(line, part_id), partition=self._plan.of_line(line)
        )

    async def write(self, record: LedgerRecord, line: str) -> None:
        """Put a record into the journal, where there is one; raises nothing for a disk that takes nothing."""
        if self._journal is not None and record.link is not None:
            await self._journal.append(line, record)

    async def write_again(self, record: LedgerRecord, line: str) -> None:
        """Put a record that was settled before a crash into the journal, unless that has it or a later one."""
        newest = None if self._journal is None else self._journal.newest(line)
        if newest is None or newest.place < record.place:
            await self.write(record, line)

    async def _take_up(self, line: str) -> _Head:
        stored = await self._store.ledger_head(line)
        on_topic, unchained = await self._newest_on_topic(line)
        written = None if self._journal is None else self._journal.newest(line)
        held = [record for record in (stored, on_topic, written) if record is not None]
        stands = None if stored is None else stored.link
        if not held:
            head = _Head(None, stands, self._origin(unchained))
        else:
            newest = max(held, key=lambda record: record.place)
            if any(record.place == newest.place and record != newest for record in held):
                self._log.error("ledger.forked", line=line, remedy="linewarden ledger verify says where")
            if on_topic is None or on_topic.place < newest.place:
                await self.publish(newest, line, entry_of(newest.decision).part_id)
            if written is None or written.place < newest.place:
                await self.write(newest, line)
            head = _Head(newest.link, stands)
        self._heads[line] = head
        return head

    async def _newest_on_topic(self, line: str) -> tuple[LedgerRecord | None, int]:
        """Return the line's newest record with a place, and how many newer decisions have none."""
        partition = self._plan.of_line(line)
        for look in _LOOKS:
            newest, seen, unchained = None, 0, 0
            async for message in self._bus.history(self._topics.decisions, partition, newest=look):
                seen += 1
                try:
                    record = from_message(message.value)
                    if entry_of(record.decision).line != line:
                        continue
                except WireError:
                    continue
                if record.link is None:
                    unchained += 1
                elif newest is None or record.place >= newest.place:
                    newest, unchained = record, 0
            if newest is not None or seen < look:
                return newest, unchained
        return None, 0

    def _origin(self, unchained: int) -> str:
        where = "store and topic hold" if self._journal is None else "store, topic and journal hold"
        before = f", and {unchained} decisions from before the ledger" if unchained else ""
        return f"{where} no earlier record of this line{before}"
