"""Record settled parts: the store's counters, the ledger, the rejects' pictures and alerts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import TypeVar

from alerting.alerts.board import AlertBoard
from alerting.alerts.symptoms import DetectorWatch
from alerting.camera_alerts import CameraAlerts, state_fields
from alerting.lease import Tenure
from alerting.ledger import Ledger
from alerting.line import Settlement
from alerting.parts import OpenPart
from shared import metrics
from shared.bus.intake import Token
from shared.clock import Clock
from shared.domain import CameraReport, Decision, Outcome
from shared.errors import LeaseLostError, StoreError
from shared.ledger.chain import LedgerRecord
from shared.log import get_logger
from shared.retry import insist
from shared.settings import LineSettings
from shared.store.base import Alert, Store

T = TypeVar("T")


class Recorder:
    """Writes settlements in order, insisting while the store or the bus is away; then their bus records are done."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        store: Store,
        clock: Clock,
        board: AlertBoard,
        done: Callable[[Iterable[Token]], None],
        tenure: Tenure,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._clock = clock
        self._board = board
        self._done = done
        self._tenure = tenure
        self._alerts: dict[str, CameraAlerts] = {}
        self._detectors: dict[str, DetectorWatch] = {}
        self._log = get_logger("alerting")

    async def run(self, settled: asyncio.Queue[Settlement]) -> None:
        """Record what comes; ends when it is cancelled."""
        while True:
            settlement = await settled.get()
            await self.record(settlement)
            settled.task_done()
            # Neither a queue that holds more nor an embedded store and bus give the gate its turn.
            await self._clock.sleep(0)

    async def record(self, settlement: Settlement) -> None:
        """Record one part; every step may be repeated without a second effect."""
        decision = settlement.decision
        # Shown before it is settled: a crash between the two may show a reject twice, and never hides one.
        shown = dict(settlement.part.overlays)
        unkept = await self._show(settlement)
        record, token = await self._insist(lambda: self._settle(settlement), "settle")
        await self._ledger.write(record, decision.line)
        await self._insist(lambda: self._ledger.publish(record, decision.line, decision.part_id), "publish")
        await self._insist(lambda: self._store.published(decision.line, decision.part_id), "mark")
        if token != self._tenure.token:
            # The store lost its data meanwhile: it took in again what the topic held then, perhaps without this.
            await self._insist(lambda: self._store.restore([record], token=self._tenure.token), "restore")
        await self._show_the_rest(settlement, shown, unkept)
        self._done(settlement.part.tokens)
        metrics.DECISIONS.labels(decision.line, decision.outcome.value).inc()
        metrics.NOT_CARRIED_OUT.labels(decision.line).inc(decision.not_carried_out)
        self._log.debug(
            "part.settled",
            line=decision.line,
            part=decision.part_id,
            outcome=decision.outcome.value,
            reason=decision.reason,
            latency_ms=settlement.latency_ms,
        )

    async def restore(self, line: str) -> None:
        """Take up what is known of the line's cameras; without the store nothing is, and alerts may come twice."""
        try:
            self._alerts_of(line).restore(await self._store.state(line))
        except StoreError as error:
            self._log.warning("store.away", error=str(error))

    def blind(self, line: LineSettings) -> bool:
        """Return whether all cameras of a line are offline."""
        return {camera.name for camera in line.cameras} <= self._alerts_of(line.name).offline

    def heard(self, report: CameraReport) -> Alert | None:
        """Know of a camera's state at once, whatever becomes of the store; return what operators are to be told."""
        return self._alerts_of(report.line).reported(report)

    async def run_reports(self, reports: asyncio.Queue[tuple[CameraReport, Alert | None, Token]]) -> None:
        """Write down cameras' states as they were heard, and tell operators; ends when it is cancelled."""
        while True:
            report, alert, token = await reports.get()
            if alert is not None:
                self._log.info("camera.reported", line=report.line, camera=report.camera, state=report.state.value)
                self._board.note(alert)
                await self._insist(partial(self._board.flush, report.line), "alert")
            # Last: whoever starts takes what is kept for what operators know.
            await self._insist(partial(self._store.set_state, report.line, state_fields(report)), "state")
            self._done([token])

    def _alerts_of(self, line: str) -> CameraAlerts:
        return self._alerts.setdefault(line, CameraAlerts(line))

    async def republish(self, decision: Decision, part: OpenPart) -> None:
        """Publish a decision that was settled before a crash and may not have reached the bus, nor its part's pictures.

        The part takes no overlay any more.
        """
        if decision.outcome is Outcome.REJECT:
            await self._keep_pictures(decision, _beyond(part.overlays, {}), last=True)
        record = await self._insist(lambda: self._ledger.settled(decision), "record")
        await self._ledger.write_again(record, decision.line)
        await self._insist(lambda: self._ledger.publish(record, decision.line, decision.part_id), "publish")
        await self._insist(lambda: self._store.published(decision.line, decision.part_id), "mark")
        self._done(part.tokens)

    async def _count(self, settlement: Settlement) -> None:
        part = settlement.part
        token = self._tenure.token
        # A store that lost its data since does not know the part any more.
        if not part.counted or part.counted_under != token:
            await self._store.announce(part.announcement)
            part.counted, part.counted_under = True, token

    async def _settle(self, settlement: Settlement) -> tuple[LedgerRecord, int | None]:
        """Return the record, and the token under which it was settled."""
        if not self._tenure.whole:
            raise LeaseLostError("this process may settle nothing now: the store is not known to be whole")
        await self._count(settlement)
        token = self._tenure.token
        try:
            record = await self._ledger.settle(
                settlement.decision,
                latency_ms=settlement.latency_ms,
                unconfirmed=settlement.unconfirmed,
                token=token,
            )
        except LeaseLostError:
            self._tenure.doubt()
            raise
        return record, token

    async def _show(self, settlement: Settlement) -> Mapping[str, bytes]:
        """Keep the pictures of a reject and alert, since nothing settled is shown twice; return what was not kept."""
        decision = settlement.decision
        unkept: Mapping[str, bytes] = {}
        if decision.outcome is Outcome.REJECT:
            pictures = {camera: overlay for camera, overlay in settlement.part.overlays.items() if overlay}
            unkept = await self._keep_pictures(decision, pictures, last=False)
        watch = self._detectors.setdefault(decision.line, DetectorWatch(decision.line))
        told = [*self._alerts_of(decision.line).decided(decision), watch.decided(decision)]
        for alert in told:
            if alert is not None:
                self._board.note(alert)
        if any(told):
            await self._insist(partial(self._board.flush, decision.line), "alert")
        return unkept

    async def _show_the_rest(
        self, settlement: Settlement, shown: Mapping[str, bytes], unkept: Mapping[str, bytes]
    ) -> None:
        """Keep what was not kept, and the overlays that came meanwhile; then the part is recorded."""
        part, decision = settlement.part, settlement.decision
        await self._keep_pictures(decision, unkept, last=True)
        while decision.outcome is Outcome.REJECT and (new := _beyond(part.overlays, shown)):
            shown = {**shown, **new}
            await self._keep_pictures(decision, await self._keep_pictures(decision, new, last=False), last=True)
        part.recorded = True

    async def _keep_pictures(
        self, decision: Decision, pictures: Mapping[str, bytes], *, last: bool
    ) -> Mapping[str, bytes]:
        """Try once, and return those that the store did not take: a picture holds up no part.

        They are tried again when the part is settled, since the store answers then; the `last` try is told.
        """
        unkept = {}
        for camera, jpeg in pictures.items():
            try:
                await self._store.put_picture(decision.line, decision.part_id, camera, jpeg)
            except StoreError as error:
                unkept[camera] = jpeg
                if last:
                    self._log.warning("picture.lost", line=decision.line, camera=camera, error=str(error))
        return unkept

    async def _insist(self, step: Callable[[], Awaitable[T]], what: str) -> T:
        return await insist(step, clock=self._clock, log=self._log, what=what)


def _beyond(overlays: Mapping[str, bytes], shown: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the overlays that are not among those shown."""
    return {camera: jpeg for camera, jpeg in overlays.items() if jpeg and shown.get(camera) != jpeg}
