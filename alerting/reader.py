"""What the bus says of one line's parts, to its gate."""

from __future__ import annotations

import asyncio
from typing import Final

from alerting.lease import Tenure
from alerting.line import LineGate
from alerting.parts import OpenPart
from alerting.recorder import Recorder
from shared.bus.base import Record
from shared.bus.intake import Intake, Token, token_of
from shared.clock import Clock
from shared.domain import CameraReport, Capture, PartAnnouncement, VerdictStatus
from shared.errors import ConfigError, StoreError, WireError
from shared.log import get_logger
from shared.plc import check_part_id
from shared.store.base import Store
from shared.topics import Topics
from shared.wire import VerdictMessage, decode, kind_of

REPORTS: Final = 1_000
_MAX_RECORDS: Final = 500
_LATEST_NS: Final = (1 << 63) - 1


class LineReader:
    """Reads announcements, verdicts and cameras' reports of one line; reports wait in `reports` to be recorded."""

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
        self.reports: asyncio.Queue[tuple[CameraReport, Token]] = asyncio.Queue(REPORTS)
        self._log = get_logger("alerting")

    async def run(self, stop: asyncio.Event) -> None:
        """Read until it is cancelled; once `stop` is set no new part is taken in."""
        while True:
            for record in await self._intake.poll(_MAX_RECORDS):
                if record.topic == self._topics.verdicts:
                    await self._verdict(record, stop)
                elif kind_of(record.value) is CameraReport:
                    await self._reported(record)
                elif not stop.is_set():
                    # Announcements that come while stopping stay uncommitted, for whoever comes next.
                    await self._announced(record)

    async def count(self, part: OpenPart) -> None:
        """Let the store count the part; close it if it was settled before a restart."""
        token = self._tenure.token
        try:
            known = await self._store.announce(part.announcement)
        except StoreError as error:
            self._log.warning("store.away", error=str(error))
            return
        part.counted, part.counted_under = True, token
        if part.claimed is None and known.claimed is not None:
            # Claimed before a restart, and perhaps signalled: only the gate knows.
            part.claimed, part.uncertain = known.claimed, True
        if known.settled and known.claimed is not None:
            self._gate.table.close(part.announcement.part_id)
            await self._recorder.republish(known.claimed, part.tokens)

    async def _reported(self, record: Record) -> None:
        try:
            report, _ = decode(CameraReport, record.value)
        except WireError as error:
            await self._intake.bury(record, str(error))
            return
        if report.line != self._gate.line.name or self.reports.full():
            # What operators are not told while the store is away for so long, they see in the camera's parts.
            self._intake.done([token_of(record)])
            return
        self.reports.put_nowait((report, token_of(record)))

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
        await self._take(self._gate.table.announced(announcement, utc_ns=utc_ns, now_ns=now_ns), token_of(record))

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
        utc_ns, now_ns = self._clock.utc_ns(), self._clock.monotonic_ns()
        part = table.verdict(message.verdict, bytes(overlay), utc_ns=utc_ns, now_ns=now_ns)
        if part is None and message.verdict.status is VerdictStatus.INSPECTED:
            await self._count_late()
        if part is None and overlay and self._gate.lacks_pictures(capture.part_id):
            await self._show(capture, bytes(overlay))
        await self._take(part, token_of(record))

    async def _show(self, capture: Capture, overlay: bytes) -> None:
        """Keep the picture of a reject that was settled without it, as after a crash: its verdict came again later."""
        try:
            await self._store.put_picture(capture.id.line, capture.part_id, capture.id.camera, overlay)
        except StoreError as error:
            self._log.warning("store.away", error=str(error))

    async def _take(self, part: OpenPart | None, token: Token) -> None:
        if part is None:
            self._intake.done([token])
            return
        part.tokens.append(token)
        if not part.counted:
            await self.count(part)
        self._gate.wake()

    async def _count_late(self) -> None:
        try:
            await self._store.count(self._gate.line.name, late_verdicts=1)
        except StoreError as error:
            self._log.warning("store.away", error=str(error))


def _check(part_id: str, captured_at_ns: int, decide_by_ns: int) -> None:
    """Refuse, with ConfigError, what would not fit the PLC's registers."""
    check_part_id(part_id)
    if not 0 <= captured_at_ns <= _LATEST_NS or not 0 <= decide_by_ns <= _LATEST_NS:
        raise ConfigError(f"part {part_id!r} has times that no clock shows: {captured_at_ns}, {decide_by_ns}")
