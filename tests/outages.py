"""A bus and a store that can be cut off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence

from shared.alerts import StandingAlert
from shared.bus.base import Bus, Record, Subscription, TopicPartition
from shared.clock import Clock, SystemClock
from shared.domain import CaptureId, Decision, PartAnnouncement
from shared.envelope import Headers
from shared.errors import BusUnavailableError, StoreUnavailableError
from shared.evidence import CameraEvidence, Why
from shared.ledger.chain import LedgerRecord, Link
from shared.store.base import Alert, Entry, LeaseRecord, PartRecord
from shared.store.memory import MemoryData, MemoryStore
from shared.store.settings import StoreSettings


class CuttableBus:
    """A bus behind a network that can be cut: nothing is published, polled or committed while it is `away`."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.away = False
        self.delivered = 0
        """How many records were polled through the network."""
        self.refused = 0
        """How often somebody met the cut."""
        self.slow: dict[str, float] = {}
        """How many seconds operations of these names take."""

    def check(self) -> None:
        """Raise while the network is cut."""
        if self.away:
            self.refused += 1
            raise BusUnavailableError("the broker does not answer")

    async def ensure_topics(self, partitions: Mapping[str, int]) -> None:
        """Create topics."""
        self.check()
        await self._bus.ensure_topics(partitions)

    async def partition_counts(self, topics: Sequence[str]) -> dict[str, int]:
        """Count through the network."""
        self.check()
        return await self._bus.partition_counts(topics)

    async def publish(
        self, topic: str, value: bytes, *, key: bytes | None, partition: int, headers: Headers = ()
    ) -> None:
        """Publish through the network."""
        self.check()
        await self._bus.publish(topic, value, key=key, partition=partition, headers=headers)

    async def subscribe(self, topics: Sequence[str], *, group: str, member: str) -> Subscription:
        """Join a group."""
        self.check()
        return _CuttableSubscription(self, await self._bus.subscribe(topics, group=group, member=member))

    async def read(self, places: Collection[TopicPartition], *, group: str, member: str) -> Subscription:
        """Read through the network."""
        self.check()
        return _CuttableSubscription(self, await self._bus.read(places, group=group, member=member))

    async def history(self, topic: str, partition: int, *, newest: int | None = None) -> AsyncGenerator[Record, None]:
        """Read through the network."""
        self.check()
        async for record in self._bus.history(topic, partition, newest=newest):
            yield record

    async def close(self) -> None:
        """Close the bus."""
        await self._bus.close()


class _CuttableSubscription:
    def __init__(self, bus: CuttableBus, inner: Subscription) -> None:
        self._bus = bus
        self._inner = inner

    async def poll(self, *, max_records: int, timeout_s: float) -> list[Record]:
        self._bus.check()
        records = await self._inner.poll(max_records=max_records, timeout_s=timeout_s)
        self._bus.delivered += len(records)
        return records

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        self._bus.check()
        await self._inner.commit(offsets)

    def assignment(self) -> frozenset[TopicPartition]:
        return self._inner.assignment()

    def pause(self) -> None:
        self._inner.pause()

    def resume(self) -> None:
        self._inner.resume()

    def on_handover(self, finish: Callable[[], Awaitable[None]]) -> None:
        self._inner.on_handover(finish)

    async def close(self) -> None:
        await self._inner.close()


class CuttableStore(MemoryStore):
    """The embedded store behind a network that can be cut, whole or for single operations."""

    def __init__(self, settings: StoreSettings, data: MemoryData) -> None:
        super().__init__(settings, data)
        self.away = False
        self.fails_once: set[str] = set()
        """Names of operations whose next call fails."""
        self.refuses: set[str] = set()
        """Names of operations that fail until they are taken out again."""
        self.refused = 0
        """How often somebody met the cut."""
        self.slow: dict[str, float] = {}
        """How many seconds operations of these names take."""

    @classmethod
    def embedded(cls, clock: Clock | None = None) -> CuttableStore:
        """Return a store in this process's memory, in which things end by `clock`."""
        return cls(StoreSettings(), MemoryData(clock or SystemClock()))

    def other_way(self) -> CuttableStore:
        """Return another way to the same data, over a network of its own."""
        return CuttableStore(self._settings, self.data)

    async def _reach(self, operation: str) -> None:
        # Whatever else runs has its turn meanwhile, as with a network between.
        await asyncio.sleep(0)
        if operation in self.slow:
            await self.data.clock.sleep(self.slow[operation])
        if self.away or operation in self.fails_once or operation in self.refuses:
            self.fails_once.discard(operation)
            self.refused += 1
            raise StoreUnavailableError("the store does not answer")

    async def announce(self, part: PartAnnouncement) -> PartRecord:
        """Count a part."""
        await self._reach("announce")
        return await super().announce(part)

    async def decided(self, line: str, part_ids: Sequence[str]) -> dict[str, Decision]:
        """Return decisions."""
        await self._reach("decided")
        return await super().decided(line, part_ids)

    async def put_evidence(
        self, decision: Decision, why: Why, camera: str, evidence: CameraEvidence, *, instead: bool = True
    ) -> bool:
        """Keep evidence."""
        await self._reach("put_evidence")
        return await super().put_evidence(decision, why, camera, evidence, instead=instead)

    async def claim(self, decision: Decision, *, token: int | None = None) -> Decision:
        """Fix a decision."""
        await self._reach("claim")
        return await super().claim(decision, token=token)

    async def lease(self, line: str) -> LeaseRecord | None:
        """Return how a lease stands."""
        await self._reach("lease")
        return await super().lease(line)

    async def move_lease(self, line: str, to: LeaseRecord, *, instead_of: LeaseRecord | None) -> bool:
        """Move a lease."""
        await self._reach("move_lease")
        moved = await super().move_lease(line, to, instead_of=instead_of)
        await self._reach("move_lease answer")
        return moved

    async def restore(self, records: Sequence[LedgerRecord], *, token: int | None = None) -> int:
        """Take lost parts in."""
        await self._reach("restore")
        return await super().restore(records, token=token)

    async def settle(
        self,
        decision: Decision,
        *,
        latency_ms: float | None,
        unconfirmed: bool = False,
        link: Link | None = None,
        instead_of: Link | None = None,
        token: int | None = None,
    ) -> bool:
        """Record a decision."""
        await self._reach("settle")
        done = await super().settle(
            decision, latency_ms=latency_ms, unconfirmed=unconfirmed, link=link, instead_of=instead_of, token=token
        )
        await self._reach("settle answer")
        return done

    async def ledger_head(self, line: str) -> LedgerRecord | None:
        """Return the newest record of a chain."""
        await self._reach("ledger_head")
        return await super().ledger_head(line)

    async def ledger_record(self, line: str, part_id: str) -> LedgerRecord | None:
        """Return what a part was settled as."""
        await self._reach("ledger_record")
        return await super().ledger_record(line, part_id)

    async def published(self, line: str, part_id: str) -> None:
        """Mark a decision as published."""
        await self._reach("published")
        await super().published(line, part_id)

    async def count(self, line: str, **increments: int) -> None:
        """Add to counters."""
        await self._reach("count")
        await super().count(line, **increments)

    async def put_picture(self, line: str, part_id: str, camera: str, jpeg: bytes) -> None:
        """Keep a picture."""
        await self._reach("put_picture")
        await super().put_picture(line, part_id, camera, jpeg)

    async def put_payload(self, capture: CaptureId, payload: bytes, *, ttl_s: int) -> None:
        """Keep a payload."""
        await self._reach("put_payload")
        await super().put_payload(capture, payload, ttl_s=ttl_s)

    async def payload(self, capture: CaptureId) -> bytes | None:
        """Return a payload."""
        await self._reach("payload")
        return await super().payload(capture)

    async def put_alert(self, standing: StandingAlert, *, told: Alert | None) -> None:
        """Write an alert."""
        await self._reach("alert")
        await super().put_alert(standing, told=told)

    async def ping(self) -> None:
        """Ask whether it answers."""
        await self._reach("ping")
        await super().ping()

    async def kept(self, name: str) -> bytes | None:
        """Return what all lines share."""
        await self._reach("kept")
        await self._reach(f"kept {name}")
        return await super().kept(name)

    async def keep(self, name: str, value: bytes, *, instead_of: bytes | None, noted: bool = False) -> bool:
        """Compare and set."""
        await self._reach("keep")
        return await super().keep(name, value, instead_of=instead_of, noted=noted)

    async def notes(self, name: str, *, newest: int) -> list[bytes]:
        """Return what was noted."""
        await self._reach("notes")
        return await super().notes(name, newest=newest)

    async def set_state(self, line: str, fields: Mapping[str, str]) -> None:
        """Merge fields."""
        await self._reach("set_state")
        await super().set_state(line, fields)

    async def decision_entries(
        self, line: str, *, after: str = "", before: str = "", most: int
    ) -> list[Entry[Decision]]:
        """Return decisions."""
        await self._reach("decision_entries")
        return await super().decision_entries(line, after=after, before=before, most=most)

    async def hold(self, name: str, value: bytes, *, ttl_s: int, again: bool = False) -> bool:
        """Hold a value."""
        await self._reach("hold")
        return await super().hold(name, value, ttl_s=ttl_s, again=again)

    async def held(self, name: str) -> bytes | None:
        """Return what is held."""
        await self._reach("held")
        return await super().held(name)
