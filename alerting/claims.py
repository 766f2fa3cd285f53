"""A part's decision, made to hold: in the store, which lets one stand, or without it where that is safe."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from alerting.lease import Tenure
from alerting.neighbours import NeighbourRules
from alerting.parts import OpenPart
from alerting.rules import LineRules, Ruling
from alerting.store_watch import StoreWatch
from shared.clock import NS_PER_MS, Clock
from shared.domain import Decision, Outcome
from shared.errors import LeaseLostError, StoreError
from shared.log import get_logger
from shared.settings import LineSettings
from shared.store.base import Store

_LEAST_NS: Final = 10 * NS_PER_MS


class Claims:
    """Decides the parts of one line.

    A claim keeps every other process from deciding otherwise. While the store is away a part waits until it is due,
    and then may be rejected without a claim, but never pass.
    """

    def __init__(
        self,
        line: LineSettings,
        *,
        rules: LineRules,
        neighbours: NeighbourRules,
        store: Store,
        clock: Clock,
        tenure: Tenure,
        watch: StoreWatch,
    ) -> None:
        self._line = line
        self._rules = rules
        self._neighbours = neighbours
        self._store = store
        self._clock = clock
        self._tenure = tenure
        self._watch = watch
        # A reject is still good after `decide_by`, while the gate can act on it: half of that time is the store's.
        self.slack_ns: Final = max(_LEAST_NS, line.actuation_lead_ns // 2)
        self._log = get_logger("alerting").bind(line=line.name)

    async def claim(self, part: OpenPart) -> Decision | None:
        """Return the decision that stands for a part, or None while there is time to ask again."""
        ruling = self._neighbours.rule(part)
        decision = self._decision(part, ruling)
        if not self._tenure.may_claim or self._watch.away:
            return self._unclaimed(part, decision, ruling)
        now_ns = self._clock.monotonic_ns()
        until_ns = part.due_ns if now_ns < part.due_ns else now_ns + self.slack_ns
        try:
            first = await self._watch.within(self._first(part, decision), until_ns)
        except LeaseLostError as error:
            self._log.warning("lease.refused", error=str(error))
            self._tenure.doubt()
            return self._unclaimed(part, decision, ruling)
        except StoreError as error:
            self._watch.failed(error)
            return self._unclaimed(part, decision, ruling)
        if first == decision:
            self._rules.applied(part.announcement.part_id, ruling)
        return first

    def _decision(self, part: OpenPart, ruling: Ruling) -> Decision:
        announcement, judgement, now_ns = part.announcement, ruling.judgement, self._clock.utc_ns()
        stamps = {name: at for verdict in part.verdicts.values() for name, at in verdict.stamps_ns.items()}
        return Decision(
            line=self._line.name,
            part_id=announcement.part_id,
            outcome=judgement.outcome,
            reason=judgement.reason,
            reject_at=ruling.reject_at,
            findings=judgement.findings,
            captured_at_ns=announcement.captured_at_ns,
            decide_by_ns=announcement.decide_by_ns,
            decided_at_ns=now_ns,
            label=announcement.label,
            stamps_ns={**stamps, "decided": now_ns},
            policy_version=ruling.version,
            product=self._line.product,
            place_counts=announcement.place_counts,
            halts=judgement.halt,
        )

    async def _first(self, part: OpenPart, decision: Decision) -> Decision:
        """Return the decision that stands for the part: this one, unless another was claimed before."""
        if not part.counted:
            record = await self._store.announce(part.announcement)
            part.counted, part.counted_under = True, self._tenure.token
            if record.claimed is not None:
                # Whoever claimed it may have signalled it, too.
                part.uncertain = True
                return record.claimed
        first = await self._store.claim(decision, token=self._tenure.token)
        part.uncertain = part.uncertain or first != decision
        return first

    def _unclaimed(self, part: OpenPart, decision: Decision, ruling: Ruling) -> Decision | None:
        """Return what may be signalled without a claim, or None while there is time to ask again.

        Without a claim nothing keeps a second process from deciding otherwise: such a part may not pass.
        """
        if part.due_ns > self._clock.monotonic_ns():
            return None
        if decision.outcome is not Outcome.PASS:
            self._rules.applied(part.announcement.part_id, ruling)
            return decision
        return replace(decision, outcome=Outcome.DEFAULT_REJECT, reason="the store is away: nothing may pass")
