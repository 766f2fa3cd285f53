"""How long a preview of a policy takes on recorded verdicts, from the bytes that lie on the bus to the table."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from alerting.policy_preview import Preview, by_part, preview, uncollected
from deploy.machine import machine_facts
from shared.clock import NS_PER_MS, NS_PER_S
from shared.domain import Capture, CaptureId, Region, Verdict, VerdictStatus
from shared.policy import LinePolicy
from shared.wire import VerdictMessage, decode, encode

BEFORE: Final = LinePolicy(reject_at=2.0)
AFTER: Final = LinePolicy(reject_at=1.8, minimum_area_px=60, borderline_from=1.5, masks=(((0, 0), (99, 0), (99, 99)),))
_T0_NS: Final = 1_700_000_000 * NS_PER_S
_PITCH_NS: Final = 50 * NS_PER_MS


@dataclass(frozen=True, slots=True)
class PolicyFigures:
    """How long reading and judging took, the median of the rounds, and what came of it."""

    verdicts: int
    high_share: float
    read_s: float
    judge_s: float
    slowest_s: float
    found: Preview

    def to_json(self) -> dict[str, Any]:
        """Return the figures and the machine."""
        return {
            "machine": machine_facts(),
            "verdicts": self.verdicts,
            "high_share": self.high_share,
            "read_s": self.read_s,
            "judge_s": self.judge_s,
            "total_s": self.read_s + self.judge_s,
            "slowest_s": self.slowest_s,
            **self.found.to_json(),
        }


def bench_preview(*, verdicts: int, high_share: float, rounds: int, seed: int = 0) -> PolicyFigures:
    """Preview a change on made-up verdicts of one camera, of which `high_share` lie above what either policy heeds."""
    recorded = make_verdicts(verdicts, high_share=high_share, seed=seed)
    reads, judges, found = [], [], None
    for _ in range(rounds):
        began_s = time.perf_counter()
        with uncollected():
            parts = by_part(decode(VerdictMessage, value)[0].verdict for value in recorded)
            read_s = time.perf_counter()
            found = preview(parts, ["camera"], BEFORE, AFTER)
        reads.append(read_s - began_s)
        judges.append(time.perf_counter() - read_s)
    if found is None:
        raise AssertionError("a benchmark has a round at least")
    slowest_s = max(read + judged for read, judged in zip(reads, judges, strict=True))
    return PolicyFigures(verdicts, high_share, statistics.median(reads), statistics.median(judges), slowest_s, found)


def make_verdicts(count: int, *, high_share: float, seed: int) -> Sequence[bytes]:
    """Return messages of verdicts as they lie on the bus, with up to four regions where the score is high."""
    rng = np.random.default_rng(seed)
    scores = np.where(rng.random(count) < high_share, rng.uniform(1.5, 6.0, count), rng.uniform(0.0, 1.4, count))
    return [encode(VerdictMessage(_verdict(index, float(score), rng))) for index, score in enumerate(scores)]


def _verdict(index: int, score: float, rng: np.random.Generator) -> Verdict:
    at_ns = _T0_NS + index * _PITCH_NS
    regions: tuple[Region, ...] = ()
    if score >= BEFORE.reject_at / 2:
        boxes = rng.integers(1, 200, (int(rng.integers(1, 5)), 4)).tolist()
        regions = tuple(Region(x, y, width, height, max(1, width * height // 40), 0.7) for x, y, width, height in boxes)
    return Verdict(
        Capture(CaptureId("line-1", "camera", 1, index), f"part-{index}", at_ns, at_ns + 1_300 * NS_PER_MS),
        VerdictStatus.INSPECTED,
        raw_score=score / 10,
        score=score,
        regions=regions,
        model_id="lite-0123456789ab",
        calibration_id="0123456789ab",
        stamps_ns={"published": at_ns, "received": at_ns, "batched": at_ns, "inferred": at_ns},
    )
