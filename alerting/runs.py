"""Rejects in a row, and their share of the last parts: when they are too many. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from shared.domain import Outcome
from shared.policy import RunAction, RunPolicy


@dataclass(frozen=True, slots=True)
class Excess:
    """There are too many rejects, and what that leads to."""

    action: RunAction
    text: str


class RunWatch:
    """Follows the outcomes of a line in the order of its captures.

    Each rule speaks once when it is broken, and again only after it was kept in between. A default reject says nothing
    about the product: it neither counts nor ends a row. A share is known once `share_parts` inspected parts were seen.
    """

    def __init__(self, rules: RunPolicy, seen: Iterable[bool] = ()) -> None:
        """Begin after parts of which it is known, oldest first, whether they were rejected.

        They raise no excess themselves; one that they amount to is spoken of at the next part that keeps it up.
        """
        self._rules = rules
        self._last: deque[bool] = deque(maxlen=max(rules.share_parts, rules.rejects_in_a_row or 1))
        self._window: deque[bool] = deque(maxlen=rules.share_parts)
        self._rejected = 0
        self._row = 0
        self._row_told = self._share_told = False
        for rejected in seen:
            self._note(rejected)
        self._row_told = self._share_told = False

    @property
    def rules(self) -> RunPolicy:
        """Return what is watched for."""
        return self._rules

    @property
    def seen(self) -> tuple[bool, ...]:
        """Return what a watch by other rules would begin with, oldest first."""
        return tuple(self._last)

    def observe(self, outcome: Outcome) -> list[Excess]:
        """Take a part's outcome; return what is too much since."""
        if outcome is Outcome.DEFAULT_REJECT:
            return []
        return self._note(outcome is Outcome.REJECT)

    def _note(self, rejected: bool) -> list[Excess]:
        self._last.append(rejected)
        self._row = self._row + 1 if rejected else 0
        if len(self._window) == self._rules.share_parts:
            self._rejected -= self._window[0]
        self._window.append(rejected)
        self._rejected += rejected
        return [*self._too_long(), *self._too_many()]

    def _too_long(self) -> list[Excess]:
        most = self._rules.rejects_in_a_row
        broken = most is not None and self._row >= most
        news, self._row_told = broken and not self._row_told, broken
        return [Excess(self._rules.row_action, f"{self._row} rejects in a row")] if news else []

    def _too_many(self) -> list[Excess]:
        share, parts = self._rules.share_percent, self._rules.share_parts
        full = len(self._window) == parts
        broken = share is not None and full and self._rejected * 100 > share * parts
        news, self._share_told = broken and not self._share_told, broken
        text = f"{self._rejected} of the last {parts} inspected parts were rejected, more than {share} %"
        return [Excess(self._rules.share_action, text)] if news else []
