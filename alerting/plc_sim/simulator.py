"""The PLC's program as a pure state machine: parts come at the photo-eye, results come in, the gate decides.

Nothing here waits or talks. Every method first moves the simulated line up to the clock's present, so that a result is
judged by where its part is at that instant.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from alerting.plc_sim.actuator import BeltPart, GateMachine
from alerting.plc_sim.book import PartBook
from alerting.plc_sim.chute import Chute, ChuteSettings
from alerting.plc_sim.conveyor import Conveyor
from alerting.plc_sim.counting import COUNTED_AS, REFUSALS, CountName
from alerting.plc_sim.drive import GateDrive
from alerting.plc_sim.encoder import Encoder
from alerting.plc_sim.feed import FeedSettings, PartFeed, SeenPart
from alerting.plc_sim.gate_log import GateAction, GateOutcome
from alerting.plc_sim.judging import judge
from alerting.plc_sim.speed import SpeedProfile, steady
from shared.clock import NS_PER_MS
from shared.domain import GateMode, Outcome
from shared.plc import Accepted, Delivery, PlcCounters

if TYPE_CHECKING:
    from collections.abc import Callable

    from alerting.plc_sim.witness import Fate
    from shared.clock import Clock
    from shared.plc import Result

_STEP_NS: Final = 1_000
"""The shortest step: what rounding leaves of the way to an event must not take many."""
DEFAULT_HEARTBEAT_TIMEOUT_MS: Final = 1_000
DEFAULT_SPEED_MM_S: Final = 1_000.0
DEFAULT_REMEMBERED_PARTS: Final = 10_000
DEFAULT_MAX_ON_BELT: Final = 10_000

_LETS_THROUGH: Final = frozenset({GateAction.PASSED, GateAction.UNSIGNALLED})


class GateSimulator:
    """One line's conveyor, gate and PLC program.

    The heartbeat counts as lost after `heartbeat_timeout_ms` without a change of the counter. A gate that rests open
    then holds the line until it returns (and before the first beat); one that rests on reject runs on and rejects,
    unless `stop_on_heartbeat_loss` says otherwise. The last `remembered_parts` gate outcomes are kept, so that a late
    result for one of them is known for what it is. A part beyond `max_on_belt` cannot be followed and is thrown out.
    The belt moves by `profile` while the line is not held, and the PLC knows of that what its `encoder` shows. Parts
    are told to `photo_eye`, or come by the `feed`, past the PLC's own: `on_seen` then hears of each with its place in
    encoder counts. `on_fate` hears what really became of each.
    """

    def __init__(
        self,
        mode: GateMode,
        clock: Clock,
        *,
        heartbeat_timeout_ms: float = DEFAULT_HEARTBEAT_TIMEOUT_MS,
        stop_on_heartbeat_loss: bool | None = None,
        profile: SpeedProfile | None = None,
        encoder: Encoder | None = None,
        machine: GateMachine | None = None,
        feed: FeedSettings | None = None,
        chute: ChuteSettings | None = None,
        remembered_parts: int = DEFAULT_REMEMBERED_PARTS,
        max_on_belt: int = DEFAULT_MAX_ON_BELT,
        on_outcome: Callable[[GateOutcome], None] | None = None,
        on_fate: Callable[[Fate], None] | None = None,
        on_seen: Callable[[str, int], None] | None = None,
    ) -> None:
        self.mode = mode
        self.clock = clock
        self._heartbeat_timeout_ns = round(heartbeat_timeout_ms * NS_PER_MS)
        self._stops_line = (
            mode is GateMode.REJECT_ASSERTED if stop_on_heartbeat_loss is None else stop_on_heartbeat_loss
        )
        self._max_on_belt = max_on_belt
        self._on_outcome = on_outcome
        self._on_fate = on_fate
        self.on_seen = on_seen
        profile = profile or steady(DEFAULT_SPEED_MM_S)
        self._belt: Conveyor[BeltPart] = Conveyor(profile, encoder or Encoder())
        self.machine = machine or GateMachine()
        self._feed = None if feed is None else PartFeed(feed, profile)
        self.chute = Chute(chute or ChuteSettings())
        self._behind_ns = 0
        self.held = False  # by whoever owns the line, as with its stop button
        self._drive = GateDrive(self._belt, self.machine, mode)
        self._book = PartBook(remembered_parts)
        self._counters = PlcCounters(mode=mode)
        self._accepted = Accepted()
        self._eye_counts: int | None = None
        self.part_number = 0
        self._ticked_ns = clock.monotonic_ns()
        self._heartbeat_counter = 0
        self._beat_ns: int | None = None

    @property
    def accepted(self) -> Accepted:
        """Return the last accepted result."""
        return self._accepted

    @property
    def counts_per_mm(self) -> float:
        """Return how many counts the encoder shows for each millimetre of belt."""
        return self._belt.encoder.counts_per_mm

    @property
    def heartbeat_counter(self) -> int:
        """Return the heartbeat counter as it was written last."""
        return self._heartbeat_counter

    @property
    def line_stopped(self) -> bool:
        """Return whether the line is held: nobody beats, the chute waits for a person, or somebody stopped it."""
        return (self._stops_line and self._beat_ns is None) or self.chute.holds_line or self.held

    def counters(self) -> PlcCounters:
        """Return all counters as of the last step."""
        return replace(
            self._counters,
            on_belt=len(self._belt),
            line_stopped=self.line_stopped,
            ejects_unconfirmed=self.chute.unconfirmed,
            bin_full=self.chute.bin_full,
        )

    def outcomes(self) -> tuple[GateOutcome, ...]:
        """Return the remembered gate outcomes, oldest first."""
        return self._book.outcomes()

    def photo_eye(self, part_id: str, gate_at_ns: int) -> None:
        """Take note of a part that reaches the gate at UTC `gate_at_ns` if the line keeps running.

        The same part and time again is the same event told twice. The same id with another time is another part
        under a used identity: no result can be known to be its own, so it never passes.
        """
        self.tick()
        known = self._book.find(part_id)
        if known is not None and known.gate_at_ns == gate_at_ns:
            return
        full = len(self._belt) >= self._max_on_belt
        part = BeltPart(part_id, gate_at_ns, barred=known is not None or full, loaded_ran_ns=self._belt.ran_ns)
        self._take(part)
        self._belt.load(part, 0 if full else gate_at_ns - self.clock.utc_ns())
        self._decide_arrivals()

    def part_seen(self, part: SeenPart) -> None:
        """Take note of an edge at the PLC's own photo-eye, with the encoder's count latched at the edge.

        An edge behind the last one is that part again: the belt ran backwards, and it has been counted.
        """
        counts = self._belt.encoder.counts_at(part.seen_mm)
        if self._eye_counts is not None and counts <= self._eye_counts:
            return
        self._eye_counts = counts
        self.part_number = part.number
        part_id = str(part.number)
        known = self._book.find(part_id)
        full = len(self._belt) >= self._max_on_belt
        seen = BeltPart(part_id, self.clock.utc_ns(), barred=known is not None or full, loaded_ran_ns=part.at_ns)
        self._take(seen)
        self._belt.load_seen(seen, 0.0 if full else self.machine.distance_mm, seen_mm=part.seen_mm)
        if self.on_seen is not None:
            self.on_seen(part_id, counts)

    def result(self, result: Result) -> Delivery:
        """Judge a result that was read whole; only an ACCEPTED one changes what the gate will do."""
        self.tick()
        part = self._book.find(result.part_id)
        delivery = judge(result, part, accepted_sequence=self._accepted.sequence, utc_ns=self.clock.utc_ns())
        if part is None or delivery is not Delivery.ACCEPTED:
            self._count(REFUSALS[delivery])
            return delivery
        part.sequence, part.outcome = result.sequence, result.outcome
        self._accepted = Accepted(result.sequence, result.part_id, result.outcome)
        return delivery

    def forget_results(self) -> None:
        """Lose what was written, as a PLC does that starts anew with registers that are not retained."""
        self._accepted = Accepted()
        for carried in self._belt.items:
            carried.item.outcome = None

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
        run_ns, self._ticked_ns = max(0, ran_until_ns - self._ticked_ns), now_ns
        self._run(run_ns)

    def next_event_ns(self) -> int | None:
        """Return how long the belt runs until a part comes to the eye or the gate's output changes; None for never."""
        return None if self.line_stopped else self._belt_event_ns()

    def _belt_event_ns(self) -> int | None:
        eye_ns = None if self._feed is None else self._feed.next_ns
        times = (self._drive.next_ns(), None if eye_ns is None else max(0, eye_ns - self._belt.ran_ns))
        return min((time for time in times if time is not None), default=None)

    def _run(self, left_ns: int) -> None:
        """Let the belt run, with each event at its own instant.

        Counter and outputs are hardware in a PLC: they are never late, however late this process is.
        """
        while not (self.chute.holds_line or self.held):
            event_ns = self._belt_event_ns()
            step_ns = left_ns if event_ns is None else min(left_ns, max(event_ns, _STEP_NS))
            step_ns = min(step_ns, self._drive.longest_step_ns)
            self._belt.run(step_ns)
            left_ns -= step_ns
            self._behind_ns = left_ns
            for part in self._feed.due(self._belt.ran_ns) if self._feed is not None else ():
                self.part_seen(part)
            self._decide_arrivals()
            if left_ns <= 0:
                break
        self._behind_ns = 0

    def _take(self, part: BeltPart) -> None:
        if not self._book.loaded(part):
            self._count("reached_twice")
        self._count("parts")

    def _decide_arrivals(self) -> None:
        for carried, crowded in self._drive.arrivals():
            part = carried.item
            action = GateAction.DEFAULTED if crowded else self._action_of(part)
            part.decided = True
            is_open = action in _LETS_THROUGH
            self._drive.act(carried, is_open=is_open)
            self._count(COUNTED_AS[action])
            if crowded:
                self._count("crowded")
            if not is_open:
                self.chute.ejected()
            outcome = GateOutcome(
                part.part_id,
                action,
                self.clock.utc_ns() - self._behind_ns,
                part.sequence,
                part.outcome,
                part.barred,
                crowded,
            )
            self._book.decided(part, outcome)
            if self._on_outcome is not None:
                self._on_outcome(outcome)
        for fate in self._drive.rest():
            if self._on_fate is not None:
                self._on_fate(fate)

    def _action_of(self, part: BeltPart) -> GateAction:
        if part.barred or part.outcome is Outcome.DEFAULT_REJECT:
            return GateAction.DEFAULTED
        if part.outcome is None:
            return GateAction.DEFAULTED if self.mode is GateMode.PASS_ASSERTED else GateAction.UNSIGNALLED
        return GateAction.PASSED if part.outcome is Outcome.PASS else GateAction.REJECTED

    def _count(self, name: CountName) -> None:
        self._counters = replace(self._counters, **{name: getattr(self._counters, name) + 1})
