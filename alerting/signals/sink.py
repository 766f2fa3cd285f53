"""Consumers of decisions that are no gate: MES, SCADA, anybody who may hear of a part a little later."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from shared.domain import Decision
from shared.errors import BusError, WireError
from shared.log import get_logger
from shared.policy_record import PolicyChange
from shared.retry import insist
from shared.wire import decode, kind_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.bus.base import Bus, Record
    from shared.clock import Clock
    from shared.topics import Topics

_MAX_RECORDS: Final = 500
_POLL_S: Final = 0.5


class DecisionSink(Protocol):
    """Takes decisions without ever making anybody wait."""

    def offer(self, decision: Decision) -> None:
        """Take a decision in, or count it as lost; returns at once."""
        ...

    async def run(self) -> None:
        """Work until cancelled."""
        ...

    async def drain(self) -> None:
        """Return once all that was offered is done or given up."""
        ...


class DecisionFeed:
    """Reads the topic of decisions, past the gate and its recorder, and offers each to the `sinks`.

    Of several processes whose feeds have one `group`, one hears of each decision; a feed that is to hear of all of them
    has a group of its own. Committed once offered: a sink's own queue is in memory, and what it has not delivered when
    the process is killed is lost to it. The decision itself is not: it is on the topic.
    """

    name = "decisions"

    def __init__(
        self, sinks: Sequence[DecisionSink], *, bus: Bus, topics: Topics, group: str, member: str, clock: Clock
    ) -> None:
        self._sinks = tuple(sinks)
        self._group = group
        self._bus = bus
        self._topics = topics
        self._member = member
        self._clock = clock
        self._log = get_logger("signals")

    async def run(self, stop: asyncio.Event) -> None:
        """Feed until `stop` is set; then what has been decided by then is offered, and the sinks are drained."""
        subscription = await insist(
            lambda: self._bus.subscribe(
                [self._topics.decisions], group=self._topics.group(self._group), member=self._member
            ),
            clock=self._clock,
            log=self._log,
            what="subscribe",
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(sink.run()) for sink in self._sinks]
                while True:
                    stopping = stop.is_set()
                    records = await insist(
                        lambda: subscription.poll(max_records=_MAX_RECORDS, timeout_s=_POLL_S),
                        clock=self._clock,
                        log=self._log,
                        what="poll",
                    )
                    for record in records:
                        self._offer(record)
                    try:
                        await subscription.commit({record.place: record.offset + 1 for record in records})
                    except BusError as error:
                        self._log.warning("sinks.uncommitted", error=str(error))  # they will be offered again
                    if stopping and not records:
                        break
                for sink in self._sinks:
                    await sink.drain()
                for task in running:
                    task.cancel()
        finally:
            await subscription.close()

    def _offer(self, record: Record) -> None:
        if kind_of(record.value) is PolicyChange:
            return  # the same topic tells auditors of these
        try:
            decision, _ = decode(Decision, record.value)
        except WireError as error:
            self._log.warning("sinks.unreadable", error=str(error))
            return
        for sink in self._sinks:
            sink.offer(decision)
