"""One line's alerts: what happened, to what operators are told of it. Pure: time and their deeds are passed in.

The same kind about the same subject counts up one alert: one that stands, one that happened within `repeat_s`, and one
that was over for less than `chatter_s`. The end of what does not stand is no news: so whoever has just started says
how things are, whatever was told before. At most `most_a_minute` are told; the others are counted in one FLOOD alert,
and stand on the board like any. A critical one that nobody acknowledged for `escalate_s` is told again, once;
what happens after it was acknowledged is told anew, where it only happens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from alerting.alerts.bucket import TokenBucket
from shared.alerts import Handling, Severity, StandingAlert, key_of, kind_named
from shared.clock import NS_PER_S
from shared.store.base import Alert

FLOOD: Final = "FLOOD"
ESCALATED: Final = "ESCALATED"
_FLOOD_OVER_S: Final = 60


@dataclass(frozen=True, slots=True)
class AlertLimits:
    """EEMUA 191 takes less than one alarm in ten minutes for what an operator can act on: that is `repeat_s`."""

    repeat_s: float = 600.0
    chatter_s: float = 60.0
    most_a_minute: int = 6
    escalate_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Told:
    """An alert as it stands now, and what is appended to the line's stream for it; None where nothing is."""

    standing: StandingAlert
    alert: Alert | None


class AlertDesk:
    """What stands on one line."""

    def __init__(self, line: str, limits: AlertLimits, standing: Mapping[str, StandingAlert]) -> None:
        self._line = line
        self._limits = limits
        self._standing = dict(standing)
        self._bucket = TokenBucket(limits.most_a_minute)

    @property
    def standing(self) -> Mapping[str, StandingAlert]:
        """Return all alerts, those that are over too."""
        return self._standing

    def happened(self, alert: Alert, now_ns: int, handling: Handling) -> list[Told]:
        """Take what happened."""
        kind = kind_named(alert.kind)
        told = [
            self._put(replace(old, cleared_ns=now_ns))
            for cleared in kind.clears
            if (old := self._standing.get(key_of(cleared, alert.subject))) is not None and not old.cleared_ns
        ]
        if kind.ends and not told:
            return []
        key = key_of(alert.kind, alert.subject)
        old = self._standing.get(key)
        taken_on = old is not None and _binds(old) and handling.is_acknowledged(old)
        if old is not None and self._repeats(old, now_ns) and not taken_on:
            again = replace(
                old, text=alert.text, part_id=alert.part_id, last_ns=now_ns, count=old.count + 1, cleared_ns=0
            )
            return [*told, self._put(again)]
        new = StandingAlert(
            self._line, alert.kind, alert.subject, kind.severity, alert.text, now_ns, now_ns, part_id=alert.part_id
        )
        if handling.is_shelved(key, now_ns):
            return [*told, self._put(new)]
        if self._bucket.take(now_ns):
            return [*told, self._put(new, replace(alert, severity=kind.severity))]
        return [*told, self._put(replace(new, held=True)), self._flood(new, now_ns)]

    def tick(self, now_ns: int, handling: Handling) -> list[Told]:
        """Take it that time went by."""
        told = []
        for old in list(self._standing.values()):
            if old.cleared_ns:
                continue
            silent_s = (now_ns - old.last_ns) / NS_PER_S
            passes = kind_named(old.kind).momentary and not (_binds(old) and not handling.is_acknowledged(old))
            if (passes and silent_s > self._limits.repeat_s) or (old.kind == FLOOD and silent_s > _FLOOD_OVER_S):
                told.append(self._put(replace(old, cleared_ns=now_ns)))
            elif self._escalates(old, now_ns, handling):
                minutes = (now_ns - old.first_ns) / NS_PER_S / 60
                text = f"nobody has acknowledged {old.key} for {minutes:.0f} min: {old.text}"
                alert = Alert(self._line, ESCALATED, text, old.part_id, now_ns, old.key, Severity.CRITICAL)
                told.append(self._put(replace(old, escalated_ns=now_ns), alert))
        return told

    def _repeats(self, old: StandingAlert, now_ns: int) -> bool:
        if old.cleared_ns:
            return now_ns - old.cleared_ns <= self._limits.chatter_s * NS_PER_S
        if kind_named(old.kind).momentary and not _binds(old):
            return now_ns - old.last_ns <= self._limits.repeat_s * NS_PER_S
        return True

    def _escalates(self, old: StandingAlert, now_ns: int, handling: Handling) -> bool:
        due = old.severity is Severity.CRITICAL and now_ns - old.first_ns >= self._limits.escalate_s * NS_PER_S
        handled = handling.is_acknowledged(old) or handling.is_shelved(old.key, now_ns)
        return due and not old.escalated_ns and not handled

    def _flood(self, held: StandingAlert, now_ns: int) -> Told:
        old = self._standing.get(FLOOD)
        going_on = old is not None and not old.cleared_ns and now_ns - old.last_ns <= _FLOOD_OVER_S * NS_PER_S
        first_ns, count, before = (old.first_ns, old.count + 1, old.severity) if old and going_on else (now_ns, 1, None)
        severity = max(held.severity, before or Severity.WARNING, key=lambda one: one.rank)
        text = f"{count} alerts held: more than {self._limits.most_a_minute} a minute; the newest is {held.key}"
        flood = StandingAlert(self._line, FLOOD, "", severity, text, first_ns, now_ns, count)
        news = severity is not before
        return self._put(flood, Alert(self._line, FLOOD, text, "", now_ns, "", severity) if news else None)

    def _put(self, standing: StandingAlert, alert: Alert | None = None) -> Told:
        self._standing[standing.key] = standing
        return Told(standing, alert)


def _binds(alert: StandingAlert) -> bool:
    """Return whether what only happens is critical: it stands until somebody took it on, and then is another one."""
    return kind_named(alert.kind).momentary and alert.severity is Severity.CRITICAL
