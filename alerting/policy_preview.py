"""What a changed policy would have made of recorded verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from alerting.parts import worse_of
from alerting.policy import judge
from alerting.runs import RunWatch
from shared.domain import Capture, CaptureId, Decision, Outcome, Verdict, VerdictStatus
from shared.policy import LinePolicy

EXAMPLES: Final = 10
Parts = Mapping[str, Mapping[str, Verdict]]
"""The verdicts of each part by camera, in the order of captures."""


@dataclass(frozen=True, slots=True)
class Example:
    """A part that the two policies disagree on, and each one's reason."""

    part_id: str
    before: Outcome
    after: Outcome
    was: str
    would_be: str


@dataclass(frozen=True, slots=True)
class Preview:
    """How many parts go from which outcome to which, the first that do, and how often runs of rejects were too long."""

    moves: Mapping[tuple[Outcome, Outcome], int]
    examples: tuple[Example, ...]
    runs_before: int
    runs_after: int

    @property
    def parts(self) -> int:
        """Return how many parts were judged."""
        return sum(self.moves.values())

    @property
    def changed(self) -> int:
        """Return how many parts would have had another outcome."""
        return sum(count for (before, after), count in self.moves.items() if before is not after)

    def to_json(self) -> dict[str, Any]:
        """Return the figures."""
        return {
            "parts": self.parts,
            "changed": self.changed,
            "moves": {f"{before} -> {after}": count for (before, after), count in sorted(self.moves.items())},
            "runs_before": self.runs_before,
            "runs_after": self.runs_after,
        }


def preview(parts: Parts, cameras: Sequence[str], before: LinePolicy, after: LinePolicy) -> Preview:
    """Judge every part by both policies.

    Most parts pass by far: those are counted without being judged one by one, and all others are given to the very
    function that the line is judged by.
    """
    plain = _plain(parts, sorted(set(cameras)), (before, after))
    moves: Counter[tuple[Outcome, Outcome]] = Counter()
    moves[Outcome.PASS, Outcome.PASS] = int(plain.sum())
    examples: list[Example] = []
    outcomes = [(Outcome.PASS, Outcome.PASS)] * len(parts)
    for index, (is_plain, (part_id, verdicts)) in enumerate(zip(plain.tolist(), parts.items(), strict=True)):
        if is_plain:
            continue
        seen_by = {*cameras, *verdicts}
        was, would_be = judge(seen_by, verdicts, before), judge(seen_by, verdicts, after)
        moves[was.outcome, would_be.outcome] += 1
        outcomes[index] = was.outcome, would_be.outcome
        if was.outcome is not would_be.outcome and len(examples) < EXAMPLES:
            examples.append(Example(part_id, was.outcome, would_be.outcome, was.reason, would_be.reason))
    return Preview(
        moves={move: count for move, count in moves.items() if count},
        examples=tuple(examples),
        runs_before=_runs(before, (outcome for outcome, _ in outcomes)),
        runs_after=_runs(after, (outcome for _, outcome in outcomes)),
    )


def by_part(verdicts: Iterable[Verdict]) -> dict[str, dict[str, Verdict]]:
    """Sort verdicts by part and camera, in the order of captures; of two of one camera the worse one counts."""
    parts: dict[str, dict[str, Verdict]] = {}
    for verdict in verdicts:
        capture = verdict.capture
        of_part = parts.setdefault(capture.part_id, {})
        known = of_part.get(capture.id.camera)
        of_part[capture.id.camera] = verdict if known is None else worse_of(known, verdict)
    first = {part_id: min(one.capture.captured_at_ns for one in found.values()) for part_id, found in parts.items()}
    return {part_id: parts[part_id] for part_id in sorted(parts, key=first.__getitem__)}


def from_decisions(decisions: Iterable[Decision]) -> list[Verdict]:
    """Return what decisions say of the verdicts behind them: all but the regions."""
    return [
        Verdict(
            Capture(
                CaptureId(decision.line, found.camera, 0, 0),
                decision.part_id,
                decision.captured_at_ns,
                decision.decide_by_ns,
            ),
            found.status,
            found.reason,
            found.raw_score,
            found.score,
            (),
            found.model_id,
            found.calibration_id,
        )
        for decision in decisions
        for found in decision.findings
    ]


def _plain(parts: Parts, cameras: Sequence[str], policies: Sequence[LinePolicy]) -> NDArray[np.bool_]:
    """Return, for each part, whether the line's cameras all looked, and none else, at nothing of note."""
    plain = np.fromiter((len(found) == len(cameras) for found in parts.values()), np.bool_, len(parts))
    if not cameras:
        return np.zeros(len(parts), dtype=np.bool_)
    for camera in cameras:
        limits = [policy.limits(camera) for policy in policies]
        of_camera = [found.get(camera) for found in parts.values()]
        scores = np.fromiter((_score(verdict) for verdict in of_camera), np.float64, len(parts))
        plain &= np.isfinite(scores) & (scores < min(one.attention_at for one in limits))
        raw_limits = [one.reject_raw_at for one in limits if one.reject_raw_at is not None]
        if raw_limits:
            raws = np.fromiter((_raw(verdict) for verdict in of_camera), np.float64, len(parts))
            plain &= np.isfinite(raws) & (raws < min(raw_limits))
    return plain


def _runs(policy: LinePolicy, outcomes: Iterable[Outcome]) -> int:
    if policy.runs.rejects_in_a_row is None and policy.runs.share_percent is None:
        return 0
    watch = RunWatch(policy.runs)
    return sum(len(watch.observe(outcome)) for outcome in outcomes)


def _score(verdict: Verdict | None) -> float:
    looked = verdict is not None and verdict.status is VerdictStatus.INSPECTED
    return verdict.score if looked and verdict is not None and verdict.score is not None else -np.inf


def _raw(verdict: Verdict | None) -> float:
    return np.nan if verdict is None or verdict.raw_score is None else verdict.raw_score
