"""A subscription with the bookkeeping that every consumer needs: commits after the work, outages, dead letters."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from shared.bus.base import Bus, OffsetTracker, Record, Subscription, TopicPartition
from shared.clock import NS_PER_S, Clock, wait_event
from shared.errors import BusError, MessageTooLargeError, StaleAssignmentError
from shared.log import Logger
from shared.retry import insist
from shared.wire import DeadLetter, encode

Token = tuple[TopicPartition, int]
_COMMIT_S: Final = 0.2
_RETRY_S: Final = 0.2
_POLL_S: Final = 0.05
_BURIALS: Final = 64


class Intake:
    """Hands out records, and commits each once `done` was said of it and of all below it.

    Before partitions go to other members it waits up to `finish_s` for what is in hand, so that they need not do it
    again, and commits.
    """

    def __init__(
        self,
        subscription: Subscription,
        *,
        bus: Bus,
        clock: Clock,
        log: Logger,
        dead_letters: str,
        place: str,
        finish_s: float = 0.0,
    ) -> None:
        self._subscription = subscription
        self._bus = bus
        self._clock = clock
        self._log = log
        self._dead_letters = dead_letters
        self._place = place
        self._tracker = OffsetTracker()
        self._assigned = subscription.assignment()
        self._polled_ns = clock.monotonic_ns()
        self._finish_ns = round(finish_s * NS_PER_S)
        self._progress = asyncio.Event()
        self._paused = False
        self._to_bury: asyncio.Queue[tuple[Record, str]] = asyncio.Queue(_BURIALS)
        subscription.on_handover(self._hand_over)

    @property
    def polled_ns(self) -> int:
        """Return when the bus answered last, on the monotonic clock."""
        return self._polled_ns

    async def poll(self, max_records: int) -> list[Record]:
        """Return what came within 50 ms; nothing, after a pause, while the bus is away."""
        try:
            records = await self._subscription.poll(max_records=max_records, timeout_s=_POLL_S)
        except BusError as error:
            self._log.warning("bus.away", error=str(error))
            await self._clock.sleep(_RETRY_S)
            return []
        self._polled_ns = self._clock.monotonic_ns()
        assigned = self._subscription.assignment()
        self._tracker.revoked(self._assigned - assigned)
        self._assigned = assigned
        for record in records:
            self._tracker.taken(record)
        return records

    def pause(self, *, full: bool) -> None:
        """Take no more records while what was taken is `full`; polling goes on."""
        if full != self._paused:
            self._paused = full
            (self._subscription.pause if full else self._subscription.resume)()

    def done(self, tokens: Iterable[Token]) -> None:
        """Say that the effects of these records stand."""
        for place, offset in tokens:
            self._tracker.done(place, offset)
        self._progress.set()

    async def bury(self, record: Record, error: str) -> None:
        """Let a record that cannot be handled lie among the dead letters, with the reason; it is done once it does.

        Others do not wait for that, unless very many are on their way there.
        """
        self._log.warning("message.buried", topic=record.topic, offset=record.offset, error=error)
        await self._to_bury.put((record, error))

    async def keep_books(self) -> None:
        """Commit five times a second, and bury what is to be buried; ends when it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._commit_regularly())
            tasks.create_task(self._bury_all())

    async def finish(self) -> None:
        """Wait until everything lies where it was to be buried, for which the books must be kept; and commit."""
        await self._to_bury.join()
        await self.commit()

    async def _bury_all(self) -> None:
        while True:
            record, error = await self._to_bury.get()
            letter = DeadLetter(record.topic, record.partition, record.offset, error, self._place)
            try:
                await self._put_away(record, encode(letter, record.value))
            except MessageTooLargeError:
                # The original filled a message to the limit by itself: what remains is where it lies on its own topic.
                await self._put_away(record, encode(letter))
            self.done([token_of(record)])
            self._to_bury.task_done()

    async def _put_away(self, record: Record, value: bytes) -> None:
        await insist(
            lambda: self._bus.publish(self._dead_letters, value, key=record.key, partition=0, headers=record.headers),
            clock=self._clock,
            log=self._log,
            what="bury",
        )

    async def _commit_regularly(self) -> None:
        while True:
            await self._clock.sleep(_COMMIT_S)
            await self.commit()

    async def commit(self) -> None:
        """Commit what is done. What cannot be committed now is committed later, or done again by another member."""
        offsets = self._tracker.committable()
        if not offsets:
            return
        try:
            await self._subscription.commit(offsets)
        except StaleAssignmentError as error:
            self._log.info("bus.rebalanced", error=str(error))
            # What is still held keeps its open records: forgotten, they would be committed with those that follow.
            self._tracker.revoked(offsets.keys() - self._subscription.assignment())
        except BusError as error:
            self._log.warning("bus.away", error=str(error))
        else:
            self._tracker.committed(offsets)

    async def _hand_over(self) -> None:
        until_ns = self._clock.monotonic_ns() + self._finish_ns
        while self._tracker.open_records() and (left_ns := until_ns - self._clock.monotonic_ns()) > 0:
            self._progress.clear()
            await wait_event(self._clock, self._progress, left_ns / NS_PER_S)
        self._log.info("bus.handover", unfinished=self._tracker.open_records())
        await self.commit()

    async def close(self) -> None:
        """Leave the group."""
        await self._subscription.close()


def token_of(record: Record) -> Token:
    """Return what `Intake.done` takes for a record."""
    return record.place, record.offset
