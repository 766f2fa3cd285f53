"""One line's gate at work: decide each part in time, signal it, and hand it on to be recorded in capture order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final

from alerting.claims import Claims
from alerting.gate import effective, signal_for
from alerting.lease import Tenure
from alerting.neighbours import NeighbourRules
from alerting.order import CaptureOrder
from alerting.parts import OpenPart, PartTable
from alerting.rules import LineRules
from alerting.signals.base import GateSignals
from alerting.store_watch import StoreWatch
from shared import metrics
from shared.clock import NS_PER_MS, Clock, wait_event
from shared.domain import Decision, GateMode, Outcome
from shared.errors import SignalError, SignalTimeoutError, SignalUnreachableError
from shared.log import get_logger
from shared.plc import U32_MAX, Accepted, Delivery
from shared.settings import LineSettings
from shared.store.base import Store

DEFAULT_MARGIN_MS: Final = 20.0
"""How long before `decide_by` silence is settled, so that the default itself still reaches the gate in time."""

_TICK_S: Final = 0.1
_RECONNECT_NS: Final = 250 * NS_PER_MS
_UNCERTAIN_NS: Final = 30_000 * NS_PER_MS
_STUCK_NS: Final = 1_000 * NS_PER_MS
_PATIENCE_NS: Final = 1_000 * NS_PER_MS
"""How long after a part fell due the records of later ones still wait for it: its gate may not answer for long."""
_HELD: Final = 1_000
_LAST_SEQUENCE: Final = U32_MAX - 2
"""One is needed to follow it, and one more where somebody else wrote meanwhile; 20 parts a second take seven years."""
_PICTURED: Final = 1_000
"""How many parts that wait to be recorded keep their pictures."""
_UNRECORDED: Final = 20_000
"""How many may wait to be recorded before no more are taken in."""
_PICTURELESS: Final = 100
_RECORD_EACH: Final = 100
"""Each look for what may be recorded scans the open parts, of which an outage leaves thousands."""


@dataclass(frozen=True, slots=True, eq=False)
class Settlement:
    """A part whose decision holds. `unconfirmed` means that a write to the gate was never answered."""

    part: OpenPart
    decision: Decision
    latency_ms: float | None = None
    unconfirmed: bool = False


class LineGate:
    """Decides the parts of one line as their verdicts come; recording them delays no signal.

    Settled ones go to the queue `settled`, which takes any number, in the order of their captures, within the bounds of
    `alerting.order`.
    """

    def __init__(
        self,
        line: LineSettings,
        *,
        store: Store,
        signals: GateSignals,
        clock: Clock,
        settled: asyncio.Queue[Settlement],
        tenure: Tenure | None = None,
        watch: StoreWatch | None = None,
    ) -> None:
        """Serve `line` while `tenure` holds; without one nobody else does."""
        self.line = line
        self.rules = LineRules(line, clock)
        self.table = PartTable(line, margin_ms=min(DEFAULT_MARGIN_MS, line.gate_delay_ms / 10))
        self._store = store
        self._signals = signals
        self._clock = clock
        self._settled = settled
        self._tenure = tenure or Tenure(clock)
        self.watch = watch or StoreWatch(line.name, store, clock)
        self._wake = asyncio.Event()
        self._connected = False
        self._tried_ns: int | None = None
        self._sequence = 0
        self._uncertain: list[OpenPart] = []
        self._telling = False
        """Whether the gate is being told of them."""
        self._without_pictures: deque[str] = deque(maxlen=_PICTURELESS)
        # Whatever was captured before a part falls due within the part's own time to decide.
        longest_ns = line.gate_delay_ns - line.actuation_lead_ns + _PATIENCE_NS
        self._order: CaptureOrder[Settlement] = CaptureOrder(longest_ns=longest_ns, most=_HELD)
        self._neighbours = NeighbourRules(line, self.rules, self.table, clock)
        self._claims = Claims(
            line,
            rules=self.rules,
            neighbours=self._neighbours,
            store=store,
            clock=clock,
            tenure=self._tenure,
            watch=self.watch,
        )
        self._reused_ns: int | None = None
        self._rests_open = line.gate is GateMode.REJECT_ASSERTED
        self._last_at_gate_ns = clock.monotonic_ns() - 1
        self._alive_ns = clock.monotonic_ns()
        self._log = get_logger("alerting").bind(line=line.name)

    def wake(self) -> None:
        """Look at the parts again: something came."""
        self._wake.set()

    @property
    def connected(self) -> bool:
        """Return whether the gate answers."""
        return self._connected

    def healthy(self, now_ns: int) -> bool:
        """Return whether parts are being decided in time; without that the heartbeat must rest."""
        late_ns = self.table.margin_ns + self._claims.slack_ns
        return now_ns - self._alive_ns < _STUCK_NS and not any(part.due_ns + late_ns < now_ns for part in self.table)

    @property
    def full(self) -> bool:
        """Return whether so many parts wait to be recorded that no more may be taken in."""
        return self._settled.qsize() + len(self._order) >= _UNRECORDED

    def reused(self, part_id: str) -> None:
        """Take note of a part under the identity of an earlier one: no signal can reach it, so that it may not go."""
        if self._reused_ns is None:
            self._log.error("part.id_reused", part=part_id, remedy="let part ids go on where they were")
            text = f"{part_id} was the id of an earlier part: parts of used ids cannot be signalled"
            self.rules.tell("PART_ID_REUSED", text, part_id)
        self._reused_ns = self._clock.monotonic_ns()

    def blind(self, now_ns: int) -> bool:
        """Return whether parts come that this process cannot signal, or may not take in, or wait for the gate."""
        if self._reused_ns is not None and now_ns - self._reused_ns > self.line.gate_delay_ns + _PATIENCE_NS:
            self._reused_ns = None
        return self.full or self._reused_ns is not None or self._telling or bool(self._uncertain)

    async def run(self, stop: asyncio.Event) -> None:
        """Decide until `stop` is set, no part is open, and the last one that was signalled has reached the gate."""
        while True:
            self._wake.clear()
            await self._neighbours.remember(self._store, self.watch)
            stopping = stop.is_set()
            now_ns = self._clock.monotonic_ns()
            self._alive_ns = now_ns
            await self._keep_connected(now_ns)
            ready = self.table.ready(self._clock.monotonic_ns(), only_due=not self._able)
            for turn, part in enumerate(ready, start=1):
                # The gate may have been lost on the way: then only what is due is settled now.
                due = part.due_ns <= self._clock.monotonic_ns()
                if due or (self._able and not self._neighbours.waits(part)):
                    await self._decide(part)
                self._alive_ns = self._clock.monotonic_ns()
                if turn % _RECORD_EACH == 0:
                    self._record()
            self._give_up_on_old_uncertain(last=stopping)
            self._record()
            nothing_left = not len(self.table) and not len(self._order)
            if stopping and nothing_left and self._clock.monotonic_ns() > self._last_at_gate_ns:
                return
            due_ns = self.table.next_due_ns()
            left_s = _TICK_S if due_ns is None else (due_ns - self._clock.monotonic_ns()) / 1e9
            await wait_event(self._clock, self._wake, min(_TICK_S, max(0.0, left_s)))

    async def beat(self, now_ns: int) -> None:
        """Beat once, if parts are being decided, and by nobody else, and the gate is connected."""
        if self._connected and self._tenure.holds() and self.healthy(now_ns) and self.rules.halted is None:
            try:
                await self._signals.beat()
            except SignalError as error:
                self._lost(error)

    @property
    def _able(self) -> bool:
        """Return whether a part that is complete can be decided before it is due."""
        return self._connected and self._tenure.may_claim and not self.watch.away

    @property
    def _may_signal(self) -> bool:
        return self._connected and self._tenure.holds()

    def lacks_pictures(self, part_id: str) -> bool:
        """Return whether the part was rejected lately before all its verdicts and their pictures were there."""
        return part_id in self._without_pictures

    def note_lacking(self, part: OpenPart, decision: Decision) -> None:
        """Take note of a reject that has not all its pictures: they may still come."""
        if decision.outcome is Outcome.REJECT and not all(map(part.overlays.get, part.cameras)):
            self._without_pictures.append(decision.part_id)

    def unrecorded(self) -> Iterator[OpenPart]:
        """Yield the parts that a store which lost its data must learn of again: they are announced, or decided."""
        yield from chain(self.table, self._uncertain, (settlement.part for settlement in self._order))

    async def _keep_connected(self, now_ns: int) -> None:
        if self._connected or (self._tried_ns is not None and now_ns - self._tried_ns < _RECONNECT_NS):
            return
        self._tried_ns = now_ns
        try:
            accepted = await self._signals.open()
            self._follow(accepted)
        except SignalError as error:
            self._log.debug("gate.unreachable", error=str(error))
            return
        self._connected = True
        self._log.info("gate.connected", gate=self.line.gate.value, last_sequence=accepted.sequence)
        self._telling = True
        try:
            while self._uncertain and self._may_signal:
                await self._deliver(self._uncertain.pop(0))
        finally:
            self._telling = False

    def _follow(self, accepted: Accepted) -> None:
        """Go on behind what the gate took last; a count that came to its end begins anew once the gate was cleared."""
        if accepted.sequence > _LAST_SEQUENCE:
            raise _no_sequence_left(accepted.sequence)
        ours = 0 if self._sequence > _LAST_SEQUENCE else self._sequence
        self._sequence = max(ours, accepted.sequence)

    async def _decide(self, part: OpenPart) -> None:
        if part.claimed is None:
            part.claimed = await self._claims.claim(part)
        if part.claimed is None:
            return  # there is time to ask again
        self.rules.stands(part.claimed)
        self._neighbours.decided(part, part.claimed)
        if self._may_signal:
            await self._deliver(part)
        else:
            self._not_signalled(part)

    def _not_signalled(self, part: OpenPart) -> None:
        """Settle a part that is due, unless the gate may hold a signal for it, or would let it go without one.

        A gate that rests open stands still with its line while nobody beats: the part may lie before it for long.
        """
        due = part.due_ns <= self._clock.monotonic_ns()
        if part.uncertain or (due and self._rests_open):
            self._ask_later(part)
        elif due:
            self._close(part, delivery=None)

    async def _deliver(self, part: OpenPart) -> None:
        decision = part.claimed
        if decision is None:
            raise AssertionError("a part is delivered only after its decision was claimed")
        try:
            delivery = await self._send(decision)
        except SignalTimeoutError as error:
            self._lost(error)
            part.uncertain = True
            self._ask_later(part)
        except SignalError as error:
            self._lost(error)
            self._not_signalled(part)
        else:
            if delivery is Delivery.CONFLICTING and (earlier := await self._taken_earlier(decision)) is not None:
                part.claimed, delivery = earlier, Delivery.DUPLICATE
            self._close(part, delivery=delivery)

    async def _send(self, decision: Decision) -> Delivery:
        if self._sequence > _LAST_SEQUENCE:
            raise _no_sequence_left(self._sequence)
        self._sequence += 1
        delivery = await self._write(decision)
        if delivery is Delivery.OUT_OF_ORDER:
            # Somebody else wrote to this PLC: behind its sequence, no result would ever be taken again.
            self._follow(await self._signals.last_accepted())
            self._sequence += 1
            delivery = await self._write(decision)
        return delivery

    async def _write(self, decision: Decision) -> Delivery:
        # The last look before anything leaves this process: whatever came before may have taken long.
        if not self._tenure.holds():
            raise SignalUnreachableError("nothing was written: the lease of this line ran out")
        return await self._signals.send(signal_for(decision, self._sequence, self.line))

    def _ask_later(self, part: OpenPart) -> None:
        """Keep a part whose signal may have landed until the gate can be asked again."""
        self.table.close(part)
        self._uncertain.append(part)

    async def _taken_earlier(self, decision: Decision) -> Decision | None:
        """Return the decision that the gate accepted for this part before a restart, if it still says so."""
        try:
            accepted = await self._signals.last_accepted()
        except SignalError as error:
            self._lost(error)
            return None
        if accepted.part_id != decision.part_id or accepted.outcome is None:
            return None
        return replace(decision, outcome=accepted.outcome, reason=f"the gate took it earlier ({decision.reason})")

    def _close(self, part: OpenPart, *, delivery: Delivery | None) -> None:
        if part.claimed is None:
            raise AssertionError("a part is closed only after its decision was claimed")
        self.table.close(part)
        decision = effective(part.claimed, delivery, self.line.gate)
        self.note_lacking(part, decision)
        now_ns = self._clock.utc_ns()
        # On the monotonic clock: a step of the wall clock must not keep the service from stopping.
        left_ns = min(decision.captured_at_ns + self.line.gate_delay_ns - now_ns, self.line.gate_delay_ns)
        self._last_at_gate_ns = max(self._last_at_gate_ns, self._clock.monotonic_ns() + left_ns)
        if delivery is not None:
            decision = replace(decision, stamps_ns={**decision.stamps_ns, "signalled": now_ns})
        on_time = delivery is not None and decision.outcome is not Outcome.DEFAULT_REJECT
        latency_ms = (now_ns - decision.captured_at_ns) / NS_PER_MS if on_time else None
        unconfirmed = part.uncertain and delivery is None
        self._order.hold(part.place, Settlement(part, decision, latency_ms, unconfirmed), self._clock.monotonic_ns())

    def _record(self) -> None:
        """Hand on what no earlier part holds up; while the recorder is far behind, without its pictures."""
        now_ns = self._clock.monotonic_ns()
        unsettled = chain(self.table, self._uncertain)
        still_open = (part.place for part in unsettled if now_ns < part.due_ns + _PATIENCE_NS)
        released = self._order.release(still_open, now_ns)
        metrics.RECORDS_HELD.labels(self.line.name).set(len(self._order))
        for settlement, late in ((found.item, found.late) for found in released):
            if late:
                metrics.RECORDS_LATE.labels(self.line.name).inc()
                self._log.info("part.recorded_late", part=settlement.decision.part_id)
            decision = self.rules.observed(settlement.decision)
            if settlement.part.overlays and self._settled.qsize() > _PICTURED:
                settlement.part.overlays.clear()
                settlement.part.pictured = False
                metrics.PICTURES_DROPPED.labels(self.line.name).inc()
            self._settled.put_nowait(replace(settlement, decision=decision))

    def _give_up_on_old_uncertain(self, *, last: bool) -> None:
        """Settle what the gate was not asked about for long; what lies before one that rests open comes again."""
        now_ns = self._clock.monotonic_ns()
        while self._uncertain:
            if self._rests_open:
                old = len(self._uncertain) > _HELD
            else:
                old = last or now_ns - self._uncertain[0].due_ns > _UNCERTAIN_NS
            if not old:
                return
            self._close(self._uncertain.pop(0), delivery=None)

    def _lost(self, error: SignalError) -> None:
        if self._connected:
            self._log.warning("gate.lost", error=str(error))
        self._connected = False
        self._tried_ns = self._clock.monotonic_ns()


def _no_sequence_left(sequence: int) -> SignalUnreachableError:
    return SignalUnreachableError(f"behind sequence {sequence} the gate has no room", "Clear its ACK block.")
