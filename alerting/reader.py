"""What the bus says of one line's parts, to its gate."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from alerting.late_pictures import LatePictures
from alerting.lease import Tenure
from alerting.line import LineGate
from alerting.parts import OpenPart, is_another
from alerting.recorder import Recorder
from shared.bus.base import Record
from shared.bus.intake import Intake, Token, token_of
from shared.clock import NS_PER_MS, Clock
from shared.domain import CameraReport, PartAnnouncement, VerdictStatus
from shared.errors import ConfigError, StoreError, WireError
from shared.log import get_logger
from shared.plc import check_part_id
from shared.store.base import Alert, Store
from shared.topics import Topics
from shared.wire import VerdictMessage, decode, kind_of

REPORTS: Final = 1_000
_MAX_RECORDS: Final = 500
_LATEST_NS: Final = (1 << 63) - 1
_FEW_RECORDS: Final = _MAX_RECORDS // 5
"""A poll that brings fewer has emptied the bus; on a busy line none is ever empty."""
_HEARING_NS: Final = 300 * NS_PER_MS
"""For how long after a start what waited on the bus may still be on its way."""
_BESIDE: Final = 2_000
"""How much of what the store is told beside the parts may wait; what is more is left out."""


class LineReader:
    """Reads announcements, verdicts and cameras' reports of one line; reports wait in `reports` to be recorded.

    What comes too late for its part's record is in `pictures`.

    Reading waits for no store: what it is to be told is told beside, in order.
    """

    def __init__(
        self,
        gate: LineGate,
        *,
        intake: Intake,
        recorder: Recorder,
        store: Store,
        clock: Clock,
        tenure: Tenure,
        topics: Topics,
    ) -> None:
        self._gate = gate
        self._intake = intake
        self._recorder = recorder
        self._store = store
        self._clock = clock
        self._tenure = tenure
        self._topics = topics
        self.reports: asyncio.Queue[tuple[CameraReport, Alert | None, Token]] = asyncio.Queue(REPORTS)
        self.pictures: Final = LatePictures(store, clock, intake.done)
        self.caught_up = False
        """Whether all that waited on the bus when this began was read."""
        self._began_ns = clock.monotonic_ns()
        self._beside: asyncio.Queue[Callable[[], Awaitable[None]]] = asyncio.Queue()
        self._log = get_logger("alerting")

    async def run(self, stop: asyncio.Event) -> None:
        """Read until it is cancelled; once `stop` is set no new part is taken in."""
        while True:
            self._intake.pause(full=self._gate.full)
            records = await self._intake.poll(_MAX_RECORDS)
            if len(records) < _FEW_RECORDS and self._intake.polled_ns - self._began_ns > _HEARING_NS:
                self.caught_up = True
            for record in records:
                if record.topic == self._topics.verdicts:
                    await self._verdict(record, stop)
                elif kind_of(record.value) is CameraReport:
                    await self._reported(record)
                elif not stop.is_set():
                    # Announcements that come while stopping stay uncommitted, for whoever comes next.
                    await self._announced(record)

    async def tell(self) -> None:
        """Tell the store what is to be told beside reading; ends when it is cancelled."""
        while True:
            await (await self._beside.get())()

    def count_again(self) -> None:
        """Let a store that was away count what it does not know yet."""
        for part in self._gate.table:
            if not part.counted:
                self._beside.put_nowait(partial(self._count_open, part))

    async def count(self, part: OpenPart) -> None:
        """Let the store count the part; close it if it was settled before a restart."""
        token = self._tenure.token
        try:
            known = await self._store.announce(part.announcement)
        except StoreError as error:
            self._gate.watch.failed(error)
            return
        part.counted, part.counted_under = True, token
        if part.claimed is None and known.claimed is not None:
            # Claimed before a restart, and perhaps signalled: only the gate knows.
            part.claimed, part.uncertain = known.claimed, True
        if known.settled and known.claimed is not None:
            self._gate.table.close(part)
            part.recorded = True
            self._gate.note_lacking(part, known.claimed)
            await self._recorder.republish(known.claimed, part)
            if is_another(part.announcement.captured_at_ns, known.claimed.captured_at_ns, self._gate.line):
                self._gate.reused(part.announcement.part_id)
        self._gate.wake()

    async def _count_open(self, part: OpenPart) -> None:
        """Let a store that answers count a part that is not decided yet; else whoever decides it does."""
        still_open = self._gate.table.find(part.announcement.part_id) is part
        if still_open and not part.counted and not self._gate.watch.away:
            await self.count(part)

    async def _reported(self, record: Record) -> None:
        try:
            report, _ = decode(CameraReport, record.value)
        except WireError as error:
            await self._intake.bury(record, str(error))
            return
        alert = self._recorder.heard(report) if report.line == self._gate.line.name else None
        if report.line != self._gate.line.name or self.reports.full():
            # What operators are not told while the store is away for so long, they see in the camera's parts.
            self._intake.done([token_of(record)])
            return
        self.reports.put_nowait((report, alert, token_of(record)))

    async def _announced(self, record: Record) -> None:
        try:
            announcement, _ = decode(PartAnnouncement, record.value)
            _check(announcement.part_id, announcement.captured_at_ns, announcement.decide_by_ns)
        except (WireError, ConfigError) as error:
            await self._intake.bury(record, str(error))
            return
        if announcement.line != self._gate.line.name:
            self._intake.done([token_of(record)])
            return
        utc_ns, now_ns = self._clock.utc_ns(), self._clock.monotonic_ns()
        if self._gate.table.reuses(announcement):
            self._gate.reused(announcement.part_id)
        self._take(self._gate.table.announced(announcement, utc_ns=utc_ns, now_ns=now_ns), token_of(record))

    async def _verdict(self, record: Record, stop: asyncio.Event) -> None:
        try:
            message, overlay = decode(VerdictMessage, record.value)
            capture = message.verdict.capture
            _check(capture.part_id, capture.captured_at_ns, capture.decide_by_ns)
        except (WireError, ConfigError) as error:
            await self._intake.bury(record, str(error))
            return
        table = self._gate.table
        if capture.id.line != self._gate.line.name:
            self._intake.done([token_of(record)])
            return
        if stop.is_set() and not table.knows(capture.part_id):
            # Its announcement is left for whoever comes next, and so is this.
            return
        if message.repeats:
            part = table.overlaid(message.verdict, bytes(overlay))
        else:
            utc_ns, now_ns = self._clock.utc_ns(), self._clock.monotonic_ns()
            part = table.verdict(message.verdict, bytes(overlay), utc_ns=utc_ns, now_ns=now_ns)
            if part is None and message.verdict.status is VerdictStatus.INSPECTED and self._beside.qsize() < _BESIDE:
                self._beside.put_nowait(self._count_late)
        # Of a part that was settled before a restart nobody knows any more whether it was rejected.
        forgotten = message.repeats and not table.knows(capture.part_id)
        if part is None and overlay and (forgotten or self._gate.lacks_pictures(capture.part_id)):
            self.pictures.add(capture, bytes(overlay), token_of(record))
        else:
            self._take(part, token_of(record))

    async def _count_late(self) -> None:
        try:
            await self._store.count(self._gate.line.name, late_verdicts=1)
        except StoreError as error:
            self._gate.watch.failed(error)

    def _take(self, part: OpenPart | None, token: Token) -> None:
        if part is None:
            self._intake.done([token])
            return
        part.tokens.append(token)
        if not part.counted:
            self._beside.put_nowait(partial(self._count_open, part))
        self._gate.wake()


def _check(part_id: str, captured_at_ns: int, decide_by_ns: int) -> None:
    """Refuse, with ConfigError, what would not fit the PLC's registers."""
    check_part_id(part_id)
    if not 0 <= captured_at_ns <= _LATEST_NS or not 0 <= decide_by_ns <= _LATEST_NS:
        raise ConfigError(f"part {part_id!r} has times that no clock shows: {captured_at_ns}, {decide_by_ns}")
