"""Decided parts as columns, so that a hundred thousand of them are looked at at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from shared.clock import NS_PER_MS
from shared.domain import NotInspected, Outcome

_OUTCOMES: Final = {Outcome.PASS: 0, Outcome.REJECT: 1, Outcome.DEFAULT_REJECT: 2}
_FIRST: Final = re.compile(r"(?:^|\()([a-z0-9][a-z0-9_-]*): ")
"""Which camera rejected a part, as the reason of a reject says it: `side: score 3.00 >= 2.00`."""
PASSED, REJECTED, DEFAULTED = 0, 1, 2


class Finding(Protocol):
    """What is read of a camera's finding."""

    @property
    def camera(self) -> str:
        """The camera."""
        ...

    @property
    def reason(self) -> NotInspected | None:
        """Why it did not look."""
        ...

    @property
    def score(self) -> float | None:
        """The calibrated score."""
        ...

    @property
    def calibration_id(self) -> str:
        """What the score was calibrated by."""
        ...

    @property
    def place(self) -> tuple[float, float] | None:
        """Where the worst region lies, as shares of the frame."""
        ...


class Decided(Protocol):
    """What is read of a decision; `shared.domain.Decision` is one."""

    @property
    def part_id(self) -> str:
        """The part."""
        ...

    @property
    def outcome(self) -> Outcome:
        """What the gate did."""
        ...

    @property
    def reason(self) -> str:
        """Why, in words."""
        ...

    @property
    def captured_at_ns(self) -> int:
        """When it was exposed."""
        ...

    @property
    def decide_by_ns(self) -> int:
        """When the gate had to know."""
        ...

    @property
    def findings(self) -> Sequence[Finding]:
        """What each camera found."""
        ...

    @property
    def stamps_ns(self) -> Mapping[str, int]:
        """The time of each step."""
        ...


@dataclass(frozen=True, slots=True)
class SlimFinding:
    """A finding as it is read from a ledger: only what is asked of it is decoded."""

    camera: str
    reason: NotInspected | None = None
    score: float | None = None
    calibration_id: str = ""
    place: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class SlimDecision:
    """A decision as it is read from a ledger."""

    part_id: str
    outcome: Outcome
    captured_at_ns: int
    decide_by_ns: int
    reason: str = ""
    findings: tuple[SlimFinding, ...] = ()
    stamps_ns: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """One row for each camera of each part, in the order of parts.

    `part` (m,) int64 is the part's row, `camera` and `calibration` (m,) int64 are places in the names, `score` (m,) is
    NaN where nobody looked, `x` and `y` (m,) in 0 to 1 are NaN where no place is known, `reason` (m,) is a place in
    `NotInspected`, or -1. `named` (m,) says that it is the camera which the decision's reason names first.
    """

    part: NDArray[np.int64]
    camera: NDArray[np.int64]
    calibration: NDArray[np.int64]
    score: NDArray[np.float64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    reason: NDArray[np.int64]
    named: NDArray[np.bool_]
    cameras: tuple[str, ...]
    calibrations: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Decided parts in the order of their captures, each once.

    `captured_ns` (n,) int64 UTC, `outcome` (n,) int64 of PASSED, REJECTED, DEFAULTED, `latency_ms` (n,) from capture to
    signal, NaN for a part that was not signalled or came by default, `allowed_ms` (n,) from capture to decide_by.
    """

    captured_ns: NDArray[np.int64]
    outcome: NDArray[np.int64]
    latency_ms: NDArray[np.float64]
    allowed_ms: NDArray[np.float64]
    findings: Findings

    def __len__(self) -> int:
        return int(self.captured_ns.size)

    def count(self, outcome: int) -> int:
        """Return how many parts came out so."""
        return int((self.outcome == outcome).sum())


def parts_of(decisions: Iterable[Decided]) -> Parts:
    """Return decisions as columns; of those of one part with one capture time the first counts, the rest repeat it."""
    known: set[tuple[str, int]] = set()
    found: list[Decided] = []
    for decision in decisions:
        key = decision.part_id, decision.captured_at_ns
        if key not in known:
            known.add(key)
            found.append(decision)
    found.sort(key=lambda decision: decision.captured_at_ns)
    captured = np.fromiter((one.captured_at_ns for one in found), np.int64, len(found))
    outcome = np.fromiter((_OUTCOMES[one.outcome] for one in found), np.int64, len(found))
    signalled = np.fromiter((one.stamps_ns.get("signalled", -1) for one in found), np.int64, len(found))
    decide_by = np.fromiter((one.decide_by_ns for one in found), np.int64, len(found))
    on_time = (signalled >= 0) & (outcome != DEFAULTED)
    return Parts(
        captured_ns=captured,
        outcome=outcome,
        latency_ms=np.where(on_time, (signalled - captured) / NS_PER_MS, np.nan),
        allowed_ms=(decide_by - captured) / NS_PER_MS,
        findings=_findings(found),
    )


def _findings(decisions: Sequence[Decided]) -> Findings:
    cameras: dict[str, int] = {}
    calibrations: dict[str, int] = {}
    reasons = {reason: place for place, reason in enumerate(NotInspected)}
    places: list[tuple[int, int, int, int, bool]] = []
    values: list[tuple[float, float, float]] = []
    nowhere = (np.nan, np.nan)
    for part, decision in enumerate(decisions):
        first = _FIRST.search(decision.reason) if decision.outcome is Outcome.REJECT else None
        for one in decision.findings:
            camera = cameras.setdefault(one.camera, len(cameras))
            calibration = calibrations.setdefault(one.calibration_id, len(calibrations))
            named = first is not None and first[1] == one.camera
            places.append((part, camera, calibration, -1 if one.reason is None else reasons[one.reason], named))
            values.append((np.nan if one.score is None else one.score, *(one.place or nowhere)))
    whole = np.asarray(places, dtype=np.int64).reshape(-1, 5)
    real = np.asarray(values, dtype=np.float64).reshape(-1, 3)
    return Findings(
        part=whole[:, 0],
        camera=whole[:, 1],
        calibration=whole[:, 2],
        reason=whole[:, 3],
        named=whole[:, 4].astype(np.bool_),
        score=real[:, 0],
        x=real[:, 1],
        y=real[:, 2],
        cameras=tuple(cameras),
        calibrations=tuple(calibrations),
    )
