"""A disturber of messages: tells them again, in another order, or broken."""

from __future__ import annotations

import random
from collections import deque
from typing import Final

from shared.bus.base import Bus, Record
from shared.clock import Clock
from shared.domain import CaptureId
from shared.envelope import capture_of
from shared.errors import BusError
from shared.topics import Topics

_REMEMBERED: Final = 60
_POLL_S: Final = 0.2


class Meddler:
    """Listens on the topics between the roles, and publishes what it heard once more."""

    def __init__(self, bus: Bus, topics: Topics, clock: Clock, rng: random.Random) -> None:
        self._bus = bus
        self._clock = clock
        self._topics = (topics.captures, topics.frames, topics.verdicts)
        self._rng = rng
        self._heard: dict[str, deque[Record]] = {topic: deque(maxlen=_REMEMBERED) for topic in self._topics}
        self._frames: set[CaptureId] = set()
        self._answered: set[CaptureId] = set()

    @property
    def unanswered(self) -> int:
        """Return how many frames were heard that no verdict was heard of."""
        return len(self._frames - self._answered)

    async def listen(self) -> None:
        """Remember the last messages of each topic; ends when it is cancelled."""
        ears = await self._bus.subscribe(self._topics, group="meddler", member="meddler")
        try:
            while True:
                try:
                    records = await ears.poll(max_records=100, timeout_s=_POLL_S)
                    for record in records:
                        self._hear(record)
                    if records:
                        await ears.commit({record.place: record.offset + 1 for record in records})
                except BusError:
                    # It lives through the same outages as everybody.
                    await self._clock.sleep(_POLL_S)
        finally:
            await ears.close()

    async def duplicate(self) -> None:
        """Publish each of the last messages twice more."""
        for record in self._last():
            await self._publish(record, record.value)
            await self._publish(record, record.value)

    async def reorder(self) -> None:
        """Publish the last messages once more, in no order."""
        records = self._last()
        self._rng.shuffle(records)
        for record in records:
            await self._publish(record, record.value)

    async def corrupt(self) -> None:
        """Publish the last messages once more: cut, with a changed byte, emptied, or random altogether."""
        for record in self._last():
            await self._publish(record, self._broken(record.value))

    def _hear(self, record: Record) -> None:
        self._heard[record.topic].append(record)
        capture = capture_of(record.headers)
        if capture is not None and record.topic == self._topics[1]:
            self._frames.add(capture.id)
        elif capture is not None and record.topic == self._topics[2]:
            self._answered.add(capture.id)

    def _last(self) -> list[Record]:
        return [record for heard in self._heard.values() for record in heard]

    def _broken(self, value: bytes) -> bytes:
        where = self._rng.randrange(max(1, len(value)))
        match self._rng.randrange(4):
            case 0:
                return value[:where]
            case 1:
                return value[:where] + bytes([value[where] ^ (1 << self._rng.randrange(8))]) + value[where + 1 :]
            case 2:
                return b""
            case _:
                return self._rng.randbytes(self._rng.randrange(1, 2_000))

    async def _publish(self, record: Record, value: bytes) -> None:
        await self._bus.publish(record.topic, value, key=record.key, partition=record.partition, headers=record.headers)
