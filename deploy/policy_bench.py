"""How long a preview of a policy takes on recorded verdicts, as `policy preview` goes: from the topic to the table.

The topic lies on the bus inside this process: what a broker adds is its network's.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from alerting.policy_preview import Preview, preview
from deploy.collecting import uncollected
from deploy.machine import machine_facts
from deploy.policy_tools import parts_on
from shared.bus.memory import MemoryBus, MemoryBusLimits
from shared.clock import NS_PER_MS, NS_PER_S, SystemClock
from shared.domain import Capture, CaptureId, Region, Verdict, VerdictStatus
from shared.policy import LinePolicy
from shared.wire import VerdictMessage, encode

BEFORE: Final = LinePolicy(reject_at=2.0)
AFTER: Final = LinePolicy(reject_at=1.8, minimum_area_px=60, borderline_from=1.5, masks=(((0, 0), (99, 0), (99, 99)),))
LIMIT_S: Final = 2.0
"""How long a person waits for 100,000 verdicts."""
_LIMIT_VERDICTS: Final = 100_000
_TOPIC: Final = "verdicts"
_LINE: Final = "line-1"
_CAMERA: Final = "camera"
_ROOM_BYTES: Final = 1 << 34
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
    limit_s: float
    found: Preview

    @property
    def sound(self) -> bool:
        """Return whether even the slowest round kept within the limit."""
        return self.slowest_s <= self.limit_s

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
            "limit_s": self.limit_s,
            "sound": self.sound,
            **self.found.to_json(),
        }


def bench_preview(
    *, verdicts: int, high_share: float, rounds: int, seed: int = 0, limit_s: float = LIMIT_S
) -> PolicyFigures:
    """Preview a change on made-up verdicts of one camera, of which `high_share` lie above what either policy heeds.

    `limit_s` is for 100,000 verdicts; fewer have as long, and more as much longer.
    """
    return asyncio.run(_bench(make_verdicts(verdicts, high_share=high_share, seed=seed), high_share, rounds, limit_s))


async def _bench(recorded: Sequence[bytes], high_share: float, rounds: int, limit_s: float) -> PolicyFigures:
    count = len(recorded)
    # As many older ones lie before them as a topic holds that nobody trims in time.
    bus = MemoryBus(SystemClock(), MemoryBusLimits(records=2 * count, bytes=_ROOM_BYTES))
    await bus.ensure_topics({_TOPIC: 1})
    for value in (*recorded, *recorded):
        await bus.publish(_TOPIC, value, key=None, partition=0)
    reads, judges, found = [], [], None
    for _ in range(rounds):
        began_s = time.perf_counter()
        with uncollected():
            parts = await parts_on(bus, _TOPIC, 0, _LINE, cameras=[_CAMERA], newest=count)
            read_s = time.perf_counter()
            found = preview(parts, [_CAMERA], BEFORE, AFTER)
        reads.append(read_s - began_s)
        judges.append(time.perf_counter() - read_s)
    await bus.close()
    if found is None:
        raise AssertionError("a benchmark has a round at least")
    slowest_s = max(read + judged for read, judged in zip(reads, judges, strict=True))
    limit_s *= max(1.0, count / _LIMIT_VERDICTS)
    return PolicyFigures(
        count, high_share, statistics.median(reads), statistics.median(judges), slowest_s, limit_s, found
    )


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
        Capture(CaptureId(_LINE, _CAMERA, 1, index), f"part-{index}", at_ns, at_ns + 1_300 * NS_PER_MS),
        VerdictStatus.INSPECTED,
        raw_score=score / 10,
        score=score,
        regions=regions,
        model_id="lite-0123456789ab",
        calibration_id="0123456789ab",
        stamps_ns={"published": at_ns, "received": at_ns, "batched": at_ns, "inferred": at_ns},
    )
