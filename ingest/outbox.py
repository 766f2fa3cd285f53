"""What one camera still has to publish: announcements first, each before its frame; bounded, and patient.

While the bus is away frames wait in a spool that is bounded by bytes, and each of them for as long as it can still make
its gate. Announcements wait for the bus: without them the ledger would not know of the part. They never wait for the
store, into which the payloads of large frames go first.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from ingest.claim import Deposit, Deposits, Packed
from shared import metrics
from shared.bus.base import Publication
from shared.bus.breaker import Breaker
from shared.clock import Clock
from shared.domain import Capture
from shared.errors import BusError, BusUnavailableError, PictureError, StoreError, StoreUnavailableError
from shared.log import Logger

_AT_ONCE: Final = 32
_ENCODERS: Final = 4
_MOST_ANNOUNCEMENTS: Final = 50_000
TOO_LATE: Final = "too late for its gate"
SPOOL_FULL: Final = "the spool is full"
NO_PICTURE: Final = "it cannot be encoded"
REFUSED: Final = "refused by the bus"
STORE_AWAY: Final = "too late for its gate, waiting for the store"
STORE_REFUSED: Final = "refused by the store"
STOPPED: Final = "the service was stopped"
TOO_MANY: Final = "more frames than max_rate_hz"


@dataclass(slots=True, eq=False)
class _Waiting:
    """A frame on its way: `encode` until it is encoded, then `packed`; neither once it is gone.

    `depositing` says that what it waits for is the store.
    """

    capture: Capture
    announcement: Publication
    encode: Callable[[], Packed] | None
    size_bytes: int
    quick: bool
    packed: Packed | None = None
    announced: bool = False
    depositing: bool = False


class Outbox:
    """Made by `open_outbox`. `dropped` counts by reason what was never sent."""

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        breaker: Breaker,
        *,
        deposits: Deposits,
        clock: Clock,
        log: Logger,
        spool_bytes: int,
    ) -> None:
        self.dropped: Counter[str] = Counter()
        self._tasks = tasks
        self._breaker = breaker
        self._deposits = deposits
        self._clock = clock
        self._log = log
        self._spool_bytes = spool_bytes
        self._fresh: deque[_Waiting] = deque()
        self._late: deque[_Waiting] = deque()
        self._spool: dict[_Waiting, None] = {}
        self._bytes = 0
        self._announcing = 0
        self._encoders = asyncio.Semaphore(_ENCODERS)
        self._changed = asyncio.Event()
        self._closed = False

    @property
    def spooled_bytes(self) -> int:
        """Return what the waiting frames hold."""
        return self._bytes

    def put(
        self,
        capture: Capture,
        announcement: Publication,
        encode: Callable[[], Packed] | None,
        *,
        size_bytes: int,
        quick: bool = False,
    ) -> None:
        """Take a part's announcement and its frame, if it has one; never waits.

        `encode` runs in a thread of its own, unless it is `quick`, and gives the frame as it goes; until then it counts
        as `size_bytes`.
        """
        item = _Waiting(capture, announcement, encode, size_bytes, quick)
        self._fresh.append(item)
        if len(self._fresh) + len(self._late) > _MOST_ANNOUNCEMENTS:
            lost = (self._late or self._fresh).popleft()
            self._discard(lost, "the bus was away for too long")
            self._log.error("announcement.dropped", capture=str(lost.capture.id))
        if encode is not None:
            self._keep(item)
        self._changed.set()

    def refuse(self, capture: Capture, reason: str) -> None:
        """Count a frame that is not to be sent at all; said once a reason, since such frames come in floods."""
        if not self.dropped[reason]:
            self._log.warning("frame.refused", capture=str(capture.id), reason=reason)
        self._count(capture, reason)

    def close(self) -> None:
        """Take nothing more; what is here is still sent."""
        self._closed = True
        self._changed.set()

    async def dispatch(self) -> None:
        """Send what waits until the outbox is closed and nothing is left to announce."""
        while not self._closed or self._fresh or self._late:
            self._changed.clear()
            while self._announcing < _AT_ONCE and (self._fresh or self._late):
                self._announcing += 1
                self._tasks.create_task(self._announce(self._next()))
            await self._changed.wait()

    def _next(self) -> _Waiting:
        """Return the oldest part that can still make its gate; those that cannot come when there is none."""
        now_ns = self._clock.utc_ns()
        while self._fresh and self._fresh[0].capture.decide_by_ns <= now_ns:
            self._late.append(self._fresh.popleft())
        return (self._fresh or self._late).popleft()

    async def _announce(self, item: _Waiting) -> None:
        try:
            while not item.announced:
                try:
                    await self._breaker.publish(lambda: item.announcement)
                    item.announced = True
                except BusUnavailableError as error:
                    self._log.debug("announcement.delayed", capture=str(item.capture.id), error=str(error))
        finally:
            self._announcing -= 1
            self._changed.set()
        if item.packed is not None:
            await self._send(item)

    def _keep(self, item: _Waiting) -> None:
        self._spool[item] = None
        self._bytes += item.size_bytes
        self._tasks.create_task(self._encode(item))
        while self._bytes > self._spool_bytes and self._spool:
            # The one with the least time left is worth the least.
            self._discard(next(iter(self._spool)), SPOOL_FULL)

    async def _encode(self, item: _Waiting) -> None:
        async with self._encoders:
            self._check_time(item)
            if item.encode is None:
                return
            try:
                packed = item.encode() if item.quick else await asyncio.to_thread(item.encode)
            except PictureError as error:
                self._discard(item, NO_PICTURE, str(error))
                return
        if item not in self._spool:
            return
        self._hold(item, packed)
        del packed
        if item.announced:
            await self._send(item)

    def _hold(self, item: _Waiting, packed: Packed) -> None:
        self._bytes += packed.size_bytes - item.size_bytes
        item.encode, item.packed, item.size_bytes = None, packed, packed.size_bytes

    async def _deposit(self, item: _Waiting) -> None:
        """Put the payload of a frame that goes by reference into the store; from then on only its message is held."""

        def wanted() -> Deposit | None:
            self._check_time(item)
            if item.packed is None or item.packed.payload is None:
                return None
            return Deposit(item.capture, item.packed.payload)

        self._check_time(item)
        while item.packed is not None and item.packed.payload is not None:
            item.depositing = True
            try:
                await self._deposits.put(wanted)
            except StoreUnavailableError as error:
                self._log.debug("payload.delayed", capture=str(item.capture.id), error=str(error))
            except StoreError as error:
                self._discard(item, STORE_REFUSED, str(error))
            else:
                item.depositing = False
                if item in self._spool:
                    self._hold(item, Packed(item.packed.publication))

    async def _send(self, item: _Waiting) -> None:
        def wanted() -> Publication | None:
            self._check_time(item)
            return None if item.packed is None else item.packed.publication

        await self._deposit(item)
        while item in self._spool:
            try:
                await self._breaker.publish(wanted)
            except BusUnavailableError as error:
                self._log.debug("frame.delayed", capture=str(item.capture.id), error=str(error))
            except BusError as error:
                self._discard(item, REFUSED, str(error))
            else:
                if item in self._spool:
                    metrics.PUBLISHED.labels(item.capture.id.line, item.capture.id.camera).inc()
                self._forget(item)

    def abandon(self) -> None:
        """Count what was not sent when the service was cut short."""
        for item in list(self._spool):
            self._discard(item, STOPPED)

    def _check_time(self, item: _Waiting) -> None:
        if self._clock.utc_ns() >= item.capture.decide_by_ns:
            self._discard(item, STORE_AWAY if item.depositing else TOO_LATE)

    def _discard(self, item: _Waiting, reason: str, error: str = "") -> None:
        """Let a frame go: its part stays announced, and without a verdict the gate defaults."""
        if item in self._spool:
            self._count(item.capture, reason)
            self._log.warning("frame.dropped", capture=str(item.capture.id), reason=reason, error=error)
            self._forget(item)

    def _count(self, capture: Capture, reason: str) -> None:
        self.dropped[reason] += 1
        metrics.DROPPED.labels(capture.id.line, capture.id.camera, reason).inc()

    def _forget(self, item: _Waiting) -> None:
        if item in self._spool:
            del self._spool[item]
            self._bytes -= item.size_bytes
            item.encode = item.packed = None


@asynccontextmanager
async def open_outbox(
    breaker: Breaker, *, deposits: Deposits, clock: Clock, log: Logger, spool_bytes: int
) -> AsyncIterator[Outbox]:
    """Serve an outbox; at the end of the block it is closed, and left once everything is sent or dropped."""
    tasks = asyncio.TaskGroup()
    outbox = Outbox(tasks, breaker, deposits=deposits, clock=clock, log=log, spool_bytes=spool_bytes)
    try:
        async with tasks:
            tasks.create_task(outbox.dispatch())
            try:
                yield outbox
            finally:
                outbox.close()
    finally:
        outbox.abandon()
