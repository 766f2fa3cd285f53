"""What operators are told, and what they do about it: severities, standing alerts, acknowledging and shelving. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

_RANKS: Final = {"info": 0, "warning": 1, "critical": 2}


class Severity(StrEnum):
    """How soon somebody must act: not at all, in this shift, now."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Return a number that grows with the severity."""
        return _RANKS[self.value]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of alert. One that is `momentary` happens and is over; another stands until something `clears` it.

    One that only `ends` what it clears is no news where nothing of that stands.
    """

    severity: Severity
    momentary: bool = False
    clears: tuple[str, ...] = ()
    ends: bool = False


def _end(*clears: str) -> Kind:
    return Kind(Severity.INFO, momentary=True, clears=clears, ends=True)


KINDS: Final = {
    "REJECT": Kind(Severity.INFO, momentary=True),
    "DEFAULT_REJECT": Kind(Severity.WARNING, momentary=True),
    "NOT_CARRIED_OUT": Kind(Severity.CRITICAL, momentary=True),
    "BORDERLINE": Kind(Severity.INFO, momentary=True),
    "TOO_CLOSE": Kind(Severity.WARNING, momentary=True),
    "LINE_FAILED": Kind(Severity.CRITICAL, momentary=True),
    "PART_ID_REUSED": Kind(Severity.CRITICAL, momentary=True),
    "MANY_REJECTS": Kind(Severity.WARNING, momentary=True),
    "LINE_HALTED": Kind(Severity.CRITICAL),
    "LINE_RESUMED": _end("LINE_HALTED"),
    "POLICY_CHANGED": Kind(Severity.INFO, momentary=True),
    "POLICY_REFUSED": Kind(Severity.WARNING),
    "POLICY_TAKEN": _end("POLICY_REFUSED"),
    "POLICY_PUT_BACK": Kind(Severity.WARNING, momentary=True),
    "TRIAL": Kind(Severity.WARNING),
    "TRIAL_OVER": _end("TRIAL"),
    "CAMERA_OFFLINE": Kind(Severity.CRITICAL, clears=("CAMERA_BAD_PICTURE",)),
    "CAMERA_BAD_PICTURE": Kind(Severity.CRITICAL, clears=("CAMERA_OFFLINE",)),
    "CAMERA_ONLINE": _end("CAMERA_OFFLINE", "CAMERA_BAD_PICTURE"),
    "GATE_LOST": Kind(Severity.CRITICAL),
    "GATE_BACK": _end("GATE_LOST"),
    "STORE_AWAY": Kind(Severity.CRITICAL),
    "STORE_BACK": _end("STORE_AWAY"),
    "STORE_REBUILT": Kind(Severity.WARNING, momentary=True),
    "BUS_AWAY": Kind(Severity.CRITICAL),
    "BUS_BACK": _end("BUS_AWAY"),
    "DETECTOR_SILENT": Kind(Severity.CRITICAL),
    "DETECTOR_BACK": _end("DETECTOR_SILENT"),
    "JOURNAL_AWAY": Kind(Severity.WARNING),
    "JOURNAL_BACK": _end("JOURNAL_AWAY"),
    "FLOOD": Kind(Severity.WARNING),
    "ESCALATED": Kind(Severity.CRITICAL, momentary=True),
}
_UNKNOWN: Final = Kind(Severity.WARNING, momentary=True)


def kind_named(name: str) -> Kind:
    """Return a kind; one that is not known here is a warning."""
    return KINDS.get(name, _UNKNOWN)


def key_of(kind: str, subject: str) -> str:
    """Return what an alert is known by on its line: its kind, and of what it is, such as a camera."""
    return f"{kind}/{subject}" if subject else kind


@dataclass(frozen=True, slots=True)
class StandingAlert:
    """All that was told under one key since `first_ns`, as one: how often, the newest text and part.

    `cleared_ns` is when it was over, 0 while it stands; `held` says that a flood kept it from being told.
    """

    line: str
    kind: str
    subject: str
    severity: Severity
    text: str
    first_ns: int
    last_ns: int
    count: int = 1
    part_id: str = ""
    cleared_ns: int = 0
    escalated_ns: int = 0
    held: bool = False

    @property
    def key(self) -> str:
        """Return what it is known by."""
        return key_of(self.kind, self.subject)


class What(StrEnum):
    """What an operator did."""

    ACKNOWLEDGED = "acknowledged"
    SHELVED = "shelved"


@dataclass(frozen=True, slots=True)
class Deed:
    """Who did what to an alert, when and why.

    An acknowledgement is of the alert that began at `first_ns`, and of no later one; a shelf ends at `until_ns`.
    """

    what: What
    key: str
    who: str
    reason: str
    at_ns: int
    first_ns: int = 0
    until_ns: int = 0


@dataclass(frozen=True, slots=True)
class Handling:
    """The newest acknowledgement and shelf of each key."""

    acknowledged: dict[str, Deed] = field(default_factory=dict)
    shelved: dict[str, Deed] = field(default_factory=dict)

    def is_acknowledged(self, alert: StandingAlert) -> bool:
        """Return whether somebody took this very alert on."""
        deed = self.acknowledged.get(alert.key)
        return deed is not None and deed.first_ns == alert.first_ns

    def is_shelved(self, key: str, now_ns: int) -> bool:
        """Return whether nobody wants to hear of it now."""
        deed = self.shelved.get(key)
        return deed is not None and now_ns < deed.until_ns


class AlertState(StrEnum):
    """Where an alert stands with its operators."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SHELVED = "shelved"
    OVER = "over"


def state_of(alert: StandingAlert, handling: Handling, now_ns: int) -> AlertState:
    """Return where an alert stands."""
    if alert.cleared_ns:
        return AlertState.OVER
    if handling.is_shelved(alert.key, now_ns):
        return AlertState.SHELVED
    return AlertState.ACKNOWLEDGED if handling.is_acknowledged(alert) else AlertState.OPEN
