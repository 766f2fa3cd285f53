"""What one line's parts are judged by at this moment: the policy in force and its version, and whether it is halted.

Nothing here waits: `alerting.policy_desk` brings it news from the store, and takes its own news there.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from alerting.policy import Judgement, judge
from alerting.runs import RunWatch
from shared.clock import Clock
from shared.domain import Decision, Outcome, Verdict
from shared.log import get_logger
from shared.policy import LinePolicy, RunAction, Silence
from shared.policy_record import LineHalt
from shared.settings import LineSettings
from shared.store.base import Alert

_ALERTS: Final = 1_000
NOBODY: Final = "linewarden"
"""Who halts a line when no person does."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """A judgement, and the one version of the policy that it was made by."""

    judgement: Judgement
    version: int
    reject_at: float

    def withheld(self, why: str) -> Ruling:
        """Return the default that stands in for it."""
        return replace(self, judgement=_withheld(self.judgement, why))


class LineRules:
    """The policy of one line in force.

    Where it is kept in a store, nothing passes before the store has said which policy that is (`read`); then it is the
    last good one, whatever becomes of the store. A halted line rejects every part by default until it is resumed; the
    decision that halted it says so, so that a process which dies at any moment halts it all the same.
    """

    def __init__(self, line: LineSettings, clock: Clock) -> None:
        self._line = line.name
        self._clock = clock
        self.policy: LinePolicy = line.policy
        self.version = 0
        self.read = True
        self.halted: LineHalt | None = None
        self.resumed_ns = 0
        """When somebody let the line go on the last time."""
        self.urgent = asyncio.Event()
        """Set when the store must learn of a halt at once."""
        self.alerts: deque[Alert] = deque(maxlen=_ALERTS)
        """What operators are to be told; of too many the oldest go."""
        self._watch = RunWatch(line.policy.runs)
        self._log = get_logger("alerting").bind(line=line.name)

    def rule(self, cameras: Iterable[str], verdicts: Mapping[str, Verdict]) -> Ruling:
        """Judge a part by the policy in force at this instant."""
        policy = self.policy
        judgement = judge(cameras, verdicts, policy)
        if self.halted is not None:
            judgement = _withheld(judgement, f"the line is halted ({self.halted.why}): linewarden policy resume")
        elif not self.read:
            judgement = _withheld(judgement, "the line's policy could not be read yet: the store is away")
        return Ruling(judgement, self.version, policy.reject_at)

    def applied(self, part_id: str, ruling: Ruling) -> None:
        """Take note that a ruling stands as the part's decision."""
        found = ruling.judgement
        if found.trial:
            self._log.warning("part.passed_uninspected", part=part_id, reason=found.reason)
        if found.alert:
            self.tell("BORDERLINE", found.alert, part_id)
        if found.halt:
            self.halt(found.halt)

    def stands(self, decision: Decision) -> None:
        """Take a decision that an earlier process may have made, before its part is signalled: it may halt the line.

        What was decided before somebody resumed the line halts it no more.
        """
        if decision.halts and decision.decided_at_ns > self.resumed_ns:
            self.halt(decision.halts)

    def observed(self, decision: Decision) -> Decision:
        """Take the decision that holds for the next part, in the order of captures; return it as it is recorded.

        One that halts the line says so: a process that dies before that is kept leaves it to the next one.
        """
        if self.halted is not None:
            return decision
        for excess in self._watch.observe(decision.outcome):
            if excess.action is RunAction.STOP:
                self.halt(excess.text)
                decision = replace(decision, halts=excess.text)
            else:
                self._log.warning("rejects.many", problem=excess.text)
                self.tell("MANY_REJECTS", excess.text, decision.part_id)
        return decision

    def remember(self, decisions: Iterable[Decision], *, resumed_ns: int) -> None:
        """Go on after decisions of before a restart, oldest first, as far as they are younger than the last resumption.

        What was observed here already, while the store could not be asked, comes after them.
        """
        self.resumed_ns = resumed_ns
        known = [decision for decision in decisions if decision.decided_at_ns > resumed_ns]
        outcomes = [decision.outcome for decision in known if decision.outcome is not Outcome.DEFAULT_REJECT]
        seen = [outcome is Outcome.REJECT for outcome in outcomes]
        self._watch = RunWatch(self.policy.runs, [*seen, *self._watch.seen])
        for decision in known:
            self.stands(decision)

    def adopt(self, policy: LinePolicy, version: int) -> None:
        """Judge by this policy from the next part on."""
        self.policy, self.version = policy, version
        if policy.runs != self._watch.rules:
            self._watch = RunWatch(policy.runs, self._watch.seen)
        if self.read:
            self.warn_of_trial()

    def begin(self) -> None:
        """Let parts pass from now on: what they are judged by is known."""
        self.read = True
        self.warn_of_trial()

    def warn_of_trial(self) -> None:
        """Say loudly where parts pass that nobody inspected, and that it is over where they do not."""
        if self.policy.on_silence is Silence.PASS:
            text = "TRIAL: parts that nobody inspected pass"
            self._log.warning("policy.trial", version=self.version, problem=text)
            self.tell("TRIAL", text)
        else:
            self.tell("TRIAL_OVER", "parts that nobody inspected are rejected")

    def halt(self, why: str, *, by: str = NOBODY) -> None:
        """Reject every further part, and let the heartbeat rest, until somebody resumes the line."""
        if self.halted is None:
            self.halted = LineHalt(self._line, halted=True, by=by, at_ns=self._clock.utc_ns(), why=why)
            self._log.error("line.halted", reason=why, remedy="linewarden policy resume")
            self._tell_halt(self.halted)
            self.urgent.set()

    def halted_elsewhere(self, halt: LineHalt) -> None:
        """Take a halt that the store tells of."""
        if self.halted is None:
            self._log.error("line.halted", reason=halt.why, remedy="linewarden policy resume")
            # Whoever halted it may have told nobody; operators who know hear nothing new.
            self._tell_halt(halt)
        self.halted = halt

    def resume(self, resumed: LineHalt) -> None:
        """Go on: runs of rejects begin anew."""
        self.halted = None
        self.resumed_ns = self._clock.utc_ns()
        self._watch = RunWatch(self.policy.runs)
        self._log.warning("line.resumed", by=resumed.by, reason=resumed.why)
        self.tell_resumed(resumed)

    def tell_resumed(self, resumed: LineHalt) -> None:
        """Let operators know that a line goes on; those who heard of no halt hear nothing."""
        self.tell("LINE_RESUMED", f"resumed by {resumed.by}: {resumed.why}")

    def tell(self, kind: str, text: str, part_id: str = "", *, subject: str = "") -> None:
        """Let operators know."""
        self.alerts.append(Alert(self._line, kind, text, part_id, self._clock.utc_ns(), subject))

    def _tell_halt(self, halt: LineHalt) -> None:
        self.tell("LINE_HALTED", f"{halt.why}: every part is rejected until `linewarden policy resume`")


def _withheld(judgement: Judgement, why: str) -> Judgement:
    """Return the default that stands in for a judgement; it halts and tells nothing of its own."""
    return replace(judgement, outcome=Outcome.DEFAULT_REJECT, reason=why, alert="", halt="", trial=False)
