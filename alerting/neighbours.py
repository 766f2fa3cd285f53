"""What a line's rules say of a part, with its neighbours in view: between `alerting.reach` and the open parts."""

from __future__ import annotations

from typing import Final

from alerting.parts import OpenPart, PartTable
from alerting.reach import TOO_CLOSE, Neighbour, Neighbourhood, Reach, Spot, rejects
from alerting.rules import LineRules, Ruling
from alerting.store_watch import StoreWatch
from shared.clock import NS_PER_MS, Clock
from shared.domain import Decision, Outcome
from shared.errors import StoreError
from shared.log import get_logger
from shared.settings import LineSettings
from shared.store.base import Store

_REMEMBERED: Final = 500
_ASKING_NS: Final = 200 * NS_PER_MS
_HEARING_NS: Final = 500 * NS_PER_MS
"""How long after a start announcements that waited on the bus may still come, behind verdicts of parts beside them."""
_UNKNOWN: Final = f"{TOO_CLOSE}what was decided before the start, which the store has not told yet"


class NeighbourRules:
    """Judges the parts of one line; without a reach of its gate just as the line's rules do."""

    def __init__(self, line: LineSettings, rules: LineRules, table: PartTable, clock: Clock) -> None:
        self._line = line.name
        self._rules = rules
        self._table = table
        self._clock = clock
        self._near = Neighbourhood(Reach.of(line), kept_ns=line.gate_delay_ns)
        self._began_ns = clock.monotonic_ns()
        self._remembers = not self._near.reach
        self._log = get_logger("alerting").bind(line=line.name)

    async def remember(self, store: Store, watch: StoreWatch) -> None:
        """Learn, once, what was decided before a restart and may lie beside what comes; without it nothing passes."""
        if self._remembers or watch.away:
            return
        until_ns = self._clock.monotonic_ns() + _ASKING_NS
        try:
            known = await watch.within(store.decisions(self._line, newest=_REMEMBERED), until_ns)
        except StoreError as error:
            watch.failed(error)
            return
        for decision in reversed(known):
            self._near.decided(Spot(decision.part_id, decision.captured_at_ns, decision.place_counts), decision)
        self._remembers = True

    def rule(self, part: OpenPart) -> Ruling:
        """Judge a part, and withhold its PASS where its neighbours forbid it."""
        ruling = self._own(part)
        if not self._near.reach or ruling.judgement.outcome is not Outcome.PASS:
            return ruling
        spot = Spot.of(part.announcement)
        why = self._near.against(spot, self._others(spot)) if self._remembers else _UNKNOWN
        return ruling if why is None else ruling.withheld(why)

    def waits(self, part: OpenPart) -> bool:
        """Return whether a part that would pass waits for what may become known of its neighbours."""
        if not self._near.reach or part.claimed is not None or self._own(part).judgement.outcome is not Outcome.PASS:
            return False
        if not self._remembers or self._clock.monotonic_ns() < self._began_ns + _HEARING_NS:
            return True
        spot = Spot.of(part.announcement)
        return self._near.waits(spot, self._others(spot), self._clock.utc_ns())

    def decided(self, part: OpenPart, decision: Decision) -> None:
        """Take a decision that stands, and tell operators of neighbours for whom it comes too late."""
        if not self._near.reach:
            return
        still_open = [Spot.of(other.announcement) for other in self._table if other is not part]
        for passed in self._near.decided(Spot.of(part.announcement), decision, still_open):
            text = f"{decision.part_id} is rejected, and {passed}, within the gate's reach of it, has passed"
            self._log.warning("part.too_close", problem=text)
            self._rules.tell("TOO_CLOSE", text, decision.part_id)

    def _own(self, part: OpenPart) -> Ruling:
        return self._rules.rule(part.cameras, part.verdicts)

    def _others(self, spot: Spot) -> list[Neighbour]:
        """Return the open parts; those out of reach are not judged, only their places matter."""
        spots = ((part, Spot.of(part.announcement)) for part in self._table)
        holds = self._near.reach.holds
        return [Neighbour(other, self._rejects(part) if holds(spot, other) else False) for part, other in spots]

    def _rejects(self, part: OpenPart) -> bool | None:
        if part.claimed is not None:
            return rejects(part.claimed)
        return self._own(part).judgement.outcome is not Outcome.PASS if part.complete else None
