"""Conditions that must hold for a while before anybody is told, and be over for a while. Pure: time is passed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shared.clock import NS_PER_S
from shared.domain import Decision, NotInspected, VerdictStatus
from shared.store.base import Alert

_SILENT_PARTS: Final = 3
_SILENT_NS: Final = NS_PER_S


@dataclass(slots=True)
class Symptom:
    """One thing that can be wrong: told after `after_s` of it, and as over after as long without it.

    At first nothing is known of it: an earlier process may have told of it, so that its absence is told, too.
    """

    kind: str
    back: str
    text: str
    back_text: str
    after_s: float
    told: bool | None = None
    """Whether it was told last that this is wrong; None before the first time."""
    _seems: bool | None = None
    _since_ns: int = 0

    def seen(self, *, wrong: bool, now_ns: int) -> str | None:
        """Return the kind of alert that this makes; None for no news."""
        if wrong is not self._seems:
            self._seems, self._since_ns = wrong, now_ns
        if wrong is self.told or now_ns - self._since_ns < self.after_s * NS_PER_S:
            return None
        self.told = wrong
        return self.kind if wrong else self.back


class DetectorWatch:
    """Whether a line's detector answers, by the line's decisions: several parts on end without any verdict tell.

    The first verdict of all tells, too: an earlier process may have told that there are none.
    """

    def __init__(self, line: str) -> None:
        self._line = line
        self._parts = 0
        self._since_ns = 0
        self._silent: bool | None = None

    def decided(self, decision: Decision) -> Alert | None:
        """Return the alert that a decision makes; None for no news."""
        findings = decision.findings
        if any(found.status is VerdictStatus.INSPECTED for found in findings):
            self._parts = 0
            if self._silent is False:
                return None
            self._silent = False
            return self._alert("DETECTOR_BACK", "the detector answers again", decision)
        if not findings or any(found.reason is not NotInspected.NO_VERDICT for found in findings):
            return None
        if not self._parts:
            self._since_ns = decision.captured_at_ns
        self._parts += 1
        long = decision.captured_at_ns - self._since_ns >= _SILENT_NS
        if self._silent or self._parts < _SILENT_PARTS or not long:
            return None
        self._silent = True
        text = f"no verdict for {self._parts} parts on end: they are rejected by default"
        return self._alert("DETECTOR_SILENT", text, decision)

    def _alert(self, kind: str, text: str, decision: Decision) -> Alert:
        return Alert(self._line, kind, text, decision.part_id, decision.decided_at_ns)
