"""What a camera still has to publish, through outages, and within its bound."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from ingest.claim import Deposits, Packed
from ingest.outbox import (
    NO_PICTURE,
    REFUSED,
    SPOOL_FULL,
    STORE_AWAY,
    STORE_REFUSED,
    TOO_LATE,
    Outbox,
    open_outbox,
)
from shared.bus.base import Publication
from shared.bus.breaker import Breaker
from shared.bus.memory import MemoryBus
from shared.clock import NS_PER_MS, ManualClock
from shared.domain import Capture, CaptureId
from shared.envelope import Headers
from shared.errors import MessageTooLargeError, PictureError, StoreError
from shared.log import get_logger
from shared.store.base import PayloadStore
from tests.lines import eventually, read_all
from tests.outages import CuttableBus, CuttableStore

KIB = 1024


class PickyBus(CuttableBus):
    """A bus that does not take large messages."""

    async def publish(
        self, topic: str, value: bytes, *, key: bytes | None, partition: int, headers: Headers = ()
    ) -> None:
        """Publish."""
        if len(value) > 100 * KIB:
            raise MessageTooLargeError("more than 100 KiB")
        await super().publish(topic, value, key=key, partition=partition, headers=headers)


class FullStore:
    """A store that refuses every payload for good."""

    async def put_payload(self, capture: CaptureId, payload: bytes, *, ttl_s: int) -> None:
        """Refuse."""
        raise StoreError(f"no room for {len(payload)} bytes of {capture} for {ttl_s} s")

    async def payload(self, capture: CaptureId) -> bytes | None:
        """Refuse."""
        raise StoreError(f"nothing of {capture} here")

    async def close(self) -> None:
        """Close."""


def capture_id(number: int) -> CaptureId:
    """Return the identity of a part's capture."""
    return CaptureId("line", "camera", 1, number)


class Desk:
    """An outbox for frames that are 10 KiB raw and 4 KiB encoded."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.bus = PickyBus(MemoryBus(self.clock))
        self.store = CuttableStore.embedded(self.clock)
        self.payloads: PayloadStore = self.store

    @asynccontextmanager
    async def open(self, spool_kib: int = 1_000) -> AsyncIterator[Outbox]:
        """Serve it."""
        await self.bus.ensure_topics({"captures": 1, "frames": 1})
        log = get_logger("test")
        breaker = Breaker(self.bus, self.clock, log)
        deposits = Deposits(self.payloads, self.clock, log)
        async with open_outbox(
            breaker, deposits=deposits, clock=self.clock, log=log, spool_bytes=spool_kib * KIB
        ) as outbox:
            yield outbox

    def put(
        self,
        outbox: Outbox,
        number: int,
        *,
        left_ms: int = 1_000,
        encode: Callable[[], bytes] = lambda: bytes(4 * KIB),
        pixels: bool = True,
        by_reference: bool = False,
        quick: bool = False,
    ) -> None:
        """Hand one part over."""
        now_ns = self.clock.utc_ns()
        name = b"%d" % number
        capture = Capture(capture_id(number), f"{number}", now_ns, now_ns + left_ms * NS_PER_MS)

        def pack() -> Packed:
            payload = encode()
            value = name + b":" + (b"" if by_reference else payload)
            return Packed(Publication("frames", value, key=None, partition=0), payload if by_reference else None)

        outbox.put(
            capture,
            Publication("captures", name, key=None, partition=0),
            pack if pixels else None,
            size_bytes=10 * KIB if pixels else 0,
            quick=quick,
        )

    async def encoded(self, outbox: Outbox, count: int) -> None:
        """Wait until so many frames are encoded and wait for the bus."""
        await eventually(lambda: outbox.spooled_bytes <= count * (4 * KIB + 10))

    async def sent(self, topic: str) -> list[int]:
        """Return the numbers of the parts that lie in a topic, in their order."""
        return [int(record.value.partition(b":")[0]) for record in await read_all(self.bus, topic)]


async def test_what_is_quick_to_encode_needs_no_thread() -> None:
    """It is sent all the same, and what cannot be encoded is told all the same."""
    threads: list[bool] = []

    def encode() -> bytes:
        threads.append(threading.current_thread() is threading.main_thread())
        return b"encoded"

    def broken() -> bytes:
        raise PictureError("no such pixels")

    desk = Desk()
    async with desk.open() as outbox:
        desk.put(outbox, 1, encode=encode, quick=True)
        desk.put(outbox, 2, encode=broken, quick=True)
        desk.put(outbox, 3, encode=encode)
    assert sorted(threads) == [False, True]
    assert sorted(await desk.sent("frames")) == [1, 3]
    assert outbox.dropped == {NO_PICTURE: 1}


async def test_everything_handed_over_is_sent_and_nothing_stays() -> None:
    """Parts with and without a picture, and the block ends when all is done."""
    desk = Desk()
    async with desk.open() as outbox:
        for number in range(50):
            desk.put(outbox, number, pixels=number % 5 != 0)
    assert sorted(await desk.sent("captures")) == list(range(50))
    assert sorted(await desk.sent("frames")) == [number for number in range(50) if number % 5]
    assert (outbox.spooled_bytes, outbox.dropped) == (0, {})


async def test_an_outage_shorter_than_the_deadline_costs_nothing() -> None:
    """Frames wait, encoded, and make their gate after all."""
    desk = Desk()
    async with desk.open() as outbox:
        desk.bus.away = True
        for number in range(20):
            desk.put(outbox, number, left_ms=2_000)
        await desk.encoded(outbox, 20)
        await desk.clock.advance(1)
        assert desk.bus.refused
        desk.bus.away = False
        await desk.clock.advance(0.6)
    assert sorted(await desk.sent("frames")) == list(range(20))
    assert outbox.dropped == {}


async def test_a_frame_that_can_no_longer_make_its_gate_is_not_worth_sending() -> None:
    """After a long outage every part is announced, those in time first, and only their frames go."""
    desk = Desk()
    async with desk.open() as outbox:
        desk.bus.away = True
        for number in range(100):
            desk.put(outbox, number, left_ms=500)
        await desk.encoded(outbox, 100)
        await desk.clock.advance(3)
        for number in range(100, 105):
            desk.put(outbox, number, left_ms=5_000)
        desk.bus.away = False
        await desk.clock.advance(0.6)
    announced = await desk.sent("captures")
    assert sorted(announced) == list(range(105))
    # Those that were being tried when the bus went are through first; after them come those that are in time.
    assert max(announced.index(number) for number in range(100, 105)) < 40
    assert sorted(await desk.sent("frames")) == list(range(100, 105))
    assert outbox.dropped == {TOO_LATE: 100}


async def test_a_full_spool_lets_those_go_that_have_the_least_time_left() -> None:
    """Its bytes stay within the bound, counted raw until encoded; what went is counted, and announced all the same."""
    desk = Desk()
    async with desk.open(spool_kib=45) as outbox:
        desk.bus.away = True
        for number in range(30):
            desk.put(outbox, number, left_ms=10_000)
            assert outbox.spooled_bytes <= 45 * KIB
        await desk.encoded(outbox, 4)
        desk.bus.away = False
        await desk.clock.advance(1)
    assert sorted(await desk.sent("captures")) == list(range(30))
    assert sorted(await desk.sent("frames")) == [26, 27, 28, 29]
    assert outbox.dropped == {SPOOL_FULL: 26}


async def test_pictures_that_nobody_can_send_are_counted_with_their_reason() -> None:
    """One that cannot be encoded, and one that the bus will not take: the part is announced, the others go on."""

    def broken() -> bytes:
        raise PictureError("no such pixels")

    desk = Desk()
    async with desk.open() as outbox:
        desk.put(outbox, 1, encode=broken)
        desk.put(outbox, 2, encode=lambda: bytes(200 * KIB))
        desk.put(outbox, 3)
    assert sorted(await desk.sent("captures")) == [1, 2, 3]
    assert await desk.sent("frames") == [3]
    assert outbox.dropped == {NO_PICTURE: 1, REFUSED: 1}


async def test_a_frame_by_reference_goes_once_its_payload_is_in_the_store() -> None:
    """The store has it, for what is left until its gate and five seconds; the spool then holds the message alone."""
    desk = Desk()
    async with desk.open() as outbox:
        desk.bus.away = True
        desk.put(outbox, 1, left_ms=1_400, by_reference=True)
        await eventually(lambda: outbox.spooled_bytes < 10 * KIB)
        assert await desk.store.payload(capture_id(1)) is None
        desk.bus.away = False
        await desk.clock.advance(0.3)
    assert await desk.sent("frames") == [1]
    assert await desk.store.payload(capture_id(1)) == bytes(4 * KIB)
    assert len(desk.store.data.payloads) == 1
    assert 5 < (desk.store.data.payloads.left_s(capture_id(1)) or 0) <= 7
    assert (outbox.spooled_bytes, outbox.dropped) == (0, {})


async def test_a_store_that_is_away_delays_frames_by_reference_alone() -> None:
    """Announcements and small frames go on; once it is back those follow that can still make their gate."""
    desk = Desk()
    async with desk.open() as outbox:
        desk.store.away = True
        for number in range(20):
            desk.put(outbox, number, left_ms=1_000 if number < 10 else 5_000, by_reference=number % 2 == 0)
        await desk.encoded(outbox, 10)
        await desk.clock.advance(0.5)
        assert sorted(await desk.sent("captures")) == list(range(20))
        assert sorted(await desk.sent("frames")) == list(range(1, 20, 2))
        await desk.clock.advance(1)
        assert desk.store.refused < 12
        desk.store.away = False
        await desk.clock.advance(1)
    assert sorted(await desk.sent("frames")) == sorted([*range(1, 20, 2), *range(10, 20, 2)])
    assert outbox.dropped == {STORE_AWAY: 5}


async def test_a_payload_that_the_store_refuses_costs_its_frame_alone() -> None:
    """It is counted with its reason, and nobody tries it again."""
    desk = Desk()
    desk.payloads = FullStore()
    async with desk.open() as outbox:
        desk.put(outbox, 1, by_reference=True)
        desk.put(outbox, 2)
    assert await desk.sent("frames") == [2]
    assert outbox.dropped == {STORE_REFUSED: 1}


async def test_a_bus_that_stays_away_after_the_deposit_is_what_makes_a_frame_late() -> None:
    """The reason says what was missing."""
    desk = Desk()
    async with desk.open() as outbox:
        desk.store.fails_once = {"put_payload"}
        desk.put(outbox, 1, by_reference=True)
        await eventually(lambda: desk.store.refused == 1)
        desk.bus.away = True
        await desk.clock.advance(2)
        desk.bus.away = False
        await desk.clock.advance(1)
    assert outbox.dropped == {TOO_LATE: 1}


async def test_a_stop_in_an_outage_waits_for_the_announcements_and_can_be_cut() -> None:
    """Parts that nobody announced would be lost to the ledger; whoever stops decides how long that may take."""
    desk = Desk()
    handed_over = asyncio.Event()

    async def serve() -> None:
        async with desk.open() as outbox:
            desk.bus.away = True
            desk.put(outbox, 1)
            handed_over.set()

    cut = asyncio.create_task(serve())
    await handed_over.wait()
    await desk.clock.advance(20)
    assert not cut.done()
    cut.cancel()
    await asyncio.gather(cut, return_exceptions=True)
    assert cut.cancelled()
