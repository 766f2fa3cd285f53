"""The PLC's program as a pure state machine: parts come at the photo-eye, results come in, the gate decides.

Nothing here waits or talks. Every method first moves the simulated line up to the clock's present, so that a result is
judged by where its part is at that instant.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from alerting.plc_sim.conveyor import Conveyor
from alerting.plc_sim.gate_log import GateAction, GateOutcome
from shared.clock import NS_PER_MS
from shared.domain import GateMode, Outcome
from shared.plc import Accepted, Delivery, PlcCounters

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.clock import Clock
    from shared.plc import Result

CountName = Literal[
    "parts",
    "passed",
    "rejected",
    "defaulted",
    "unsignalled",
    "duplicate",
    "unknown_part",
    "conflicting",
    "late",
    "out_of_order",
    "bad_checksum",
    "reached_twice",
    "heartbeat_losses",
]
DEFAULT_HEARTBEAT_TIMEOUT_MS: Final = 1_000
DEFAULT_COUNTS_PER_S: Final = 10_000
DEFAULT_REMEMBERED_PARTS: Final = 10_000
DEFAULT_MAX_ON_BELT: Final = 10_000

_REFUSALS: Final[dict[Delivery, CountName]] = {
    Delivery.LATE: "late",
    Delivery.DUPLICATE: "duplicate",
    Delivery.UNKNOWN_PART: "unknown_part",
    Delivery.CONFLICTING: "conflicting",
    Delivery.BAD_CHECKSUM: "bad_checksum",
    Delivery.OUT_OF_ORDER: "out_of_order",
}
_COUNTED_AS: Final[dict[GateAction, CountName]] = {
    GateAction.PASSED: "passed",
    GateAction.REJECTED: "rejected",
    GateAction.DEFAULTED: "defaulted",
    GateAction.UNSIGNALLED: "unsignalled",
}


@dataclass(slots=True)
class _Part:
    part_id: str
    gate_at_ns: int
    barred: bool
    sequence: int = 0
    outcome: Outcome | None = None
    decided: bool = False


class GateSimulator:
    """One line's conveyor, gate and PLC program.

    The heartbeat counts as lost after `heartbeat_timeout_ms` without a change of the counter. A gate that rests open
    then holds the line until it returns (and before the first beat); one that rests on reject runs on and rejects,
    unless `stop_on_heartbeat_loss` says otherwise. The last `remembered_parts` gate outcomes are kept, so that a late
    result for one of them is known for what it is. A part beyond `max_on_belt` cannot be followed and is thrown out.
    """

    def __init__(
        self,
        mode: GateMode,
        clock: Clock,
        *,
        heartbeat_timeout_ms: float = DEFAULT_HEARTBEAT_TIMEOUT_MS,
        stop_on_heartbeat_loss: bool | None = None,
        counts_per_s: int = DEFAULT_COUNTS_PER_S,
        remembered_parts: int = DEFAULT_REMEMBERED_PARTS,
        max_on_belt: int = DEFAULT_MAX_ON_BELT,
        on_outcome: Callable[[GateOutcome], None] | None = None,
    ) -> None:
        self.mode = mode
        self.clock = clock
        self._heartbeat_timeout_ns = round(heartbeat_timeout_ms * NS_PER_MS)
        self._stops_line = (
            mode is GateMode.REJECT_ASSERTED if stop_on_heartbeat_loss is None else stop_on_heartbeat_loss
        )
        self._remembered_parts = remembered_parts
        self._max_on_belt = max_on_belt
        self._on_outcome = on_outcome
        self._belt: Conveyor[_Part] = Conveyor(counts_per_s)
        self._known: dict[str, _Part] = {}
        self._decided: deque[tuple[_Part, GateOutcome]] = deque()
        self._counters = PlcCounters(mode=mode)
        self._accepted = Accepted()
        self._ticked_ns = clock.monotonic_ns()
        self._heartbeat_counter = 0
        self._beat_ns: int | None = None

    @property
    def accepted(self) -> Accepted:
        """Return the last accepted result."""
        return self._accepted

    @property
    def heartbeat_counter(self) -> int:
        """Return the heartbeat counter as it was written last."""
        return self._heartbeat_counter

    @property
    def line_stopped(self) -> bool:
        """Return whether the PLC holds the line because nobody beats."""
        return self._stops_line and self._beat_ns is None

    def counters(self) -> PlcCounters:
        """Return all counters as of the last step."""
        return replace(self._counters, on_belt=len(self._belt), line_stopped=self.line_stopped)

    def outcomes(self) -> tuple[GateOutcome, ...]:
        """Return the remembered gate outcomes, oldest first."""
        return tuple(outcome for _, outcome in self._decided)

    def photo_eye(self, part_id: str, gate_at_ns: int) -> None:
        """Take note of a part that reaches the gate at UTC `gate_at_ns` if the line keeps running.

        The same part and time again is the same event told twice. The same id with another time is another part
        under a used identity: no result can be known to be its own, so it never passes.
        """
        self.tick()
        known = self._known.get(part_id)
        if known is not None and known.gate_at_ns == gate_at_ns:
            return
        crowded = len(self._belt) >= self._max_on_belt
        part = _Part(part_id, gate_at_ns, barred=known is not None or crowded)
        if known is None:
            self._known[part_id] = part
        else:
            self._count("reached_twice")
        self._count("parts")
        self._belt.load(part, 0 if crowded else gate_at_ns - self.clock.utc_ns())
        self._decide_arrivals()

    def result(self, result: Result) -> Delivery:
        """Judge a result that was read whole; only an ACCEPTED one changes what the gate will do."""
        self.tick()
        delivery = self._judge(result)
        if delivery is not Delivery.ACCEPTED:
            self._count(_REFUSALS[delivery])
            return delivery
        part = self._known[result.part_id]
        part.sequence, part.outcome = result.sequence, result.outcome
        self._accepted = Accepted(result.sequence, result.part_id, result.outcome)
        return delivery

    def torn(self) -> Delivery:
        """Take note of a block whose checksum does not match: nothing in it can be believed."""
        self.tick()
        self._count("bad_checksum")
        return Delivery.BAD_CHECKSUM

    def heartbeat(self, counter: int) -> None:
        """Take the heartbeat register's value; only a change is a beat."""
        self.tick()
        if counter != self._heartbeat_counter:
            self._heartbeat_counter = counter
            self._beat_ns = self.clock.monotonic_ns()

    def tick(self) -> None:
        """Move the line up to the present, and let the gate decide each part that arrived on the way."""
        now_ns = self.clock.monotonic_ns()
        ran_until_ns = now_ns if self._beat_ns is not None or not self._stops_line else self._ticked_ns
        if self._beat_ns is not None and now_ns - self._beat_ns > self._heartbeat_timeout_ns:
            if self._stops_line:
                ran_until_ns = self._beat_ns + self._heartbeat_timeout_ns
            self._beat_ns = None
            self._count("heartbeat_losses")
        self._belt.run(ran_until_ns - self._ticked_ns)
        self._ticked_ns = now_ns
        self._decide_arrivals()

    def next_event_ns(self) -> int | None:
        """Return how long the belt still runs until the next part is at the gate; None while nothing will come."""
        return None

    def _judge(self, result: Result) -> Delivery:
        part = self._known.get(result.part_id)
        if part is not None and part.outcome is result.outcome:
            return Delivery.DUPLICATE
        if result.sequence <= self._accepted.sequence:
            return Delivery.OUT_OF_ORDER
        if part is None:
            return Delivery.UNKNOWN_PART
        if part.outcome is not None:
            return Delivery.CONFLICTING
        # A reject is taken until the part is at the gate: refusing it could only let the part through.
        past_deadline = self.clock.utc_ns() > result.deadline_ms * NS_PER_MS
        if part.decided or (past_deadline and result.outcome is Outcome.PASS):
            return Delivery.LATE
        return Delivery.ACCEPTED

    def _decide_arrivals(self) -> None:
        for part in self._belt.at_gate():
            action = self._act_on(part)
            part.decided = True
            self._count(_COUNTED_AS[action])
            outcome = GateOutcome(part.part_id, action, self.clock.utc_ns(), part.sequence, part.outcome, part.barred)
            self._remember(part, outcome)
            if self._on_outcome is not None:
                self._on_outcome(outcome)

    def _act_on(self, part: _Part) -> GateAction:
        if part.barred:
            return GateAction.DEFAULTED
        match part.outcome:
            case Outcome.PASS:
                return GateAction.PASSED
            case Outcome.REJECT:
                return GateAction.REJECTED
            case Outcome.DEFAULT_REJECT:
                return GateAction.DEFAULTED
            case None:
                return GateAction.DEFAULTED if self.mode is GateMode.PASS_ASSERTED else GateAction.UNSIGNALLED

    def _remember(self, part: _Part, outcome: GateOutcome) -> None:
        self._decided.append((part, outcome))
        if len(self._decided) > self._remembered_parts:
            forgotten, _ = self._decided.popleft()
            if self._known.get(forgotten.part_id) is forgotten:
                del self._known[forgotten.part_id]

    def _count(self, name: CountName) -> None:
        self._counters = replace(self._counters, **{name: getattr(self._counters, name) + 1})
