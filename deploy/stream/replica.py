"""A detector replica for measurements, whose engine takes a fixed time for each frame and leaves the processor free.

python -m deploy.stream.replica CONFIG COST-MS
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from deploy.adapters import adapters_for
from detector.model.base import Inspection
from detector.runtime.lanes import Lanes
from detector.service import DetectorService
from shared import log
from shared.domain import AnomalyMap, Effort, Picture
from shared.lifecycle import serve, stop_on_signals
from shared.settings import load

_MAP: Final = AnomalyMap(np.zeros((8, 8), dtype=np.float32))


class FixedCostModel:
    """Finds every picture good after `cost_ms` each; its `model_id` is the replica's name, so that verdicts tell it."""

    calibration_id = "fixed"
    profile = "fixed-cost"
    region_level = 1.0
    efforts = (Effort.FULL,)
    lanes = Lanes()

    def __init__(self, replica: str, cost_ms: float) -> None:
        self.model_id = replica
        self._cost_s = cost_ms / 1_000

    def at(self, _effort: Effort) -> FixedCostModel:
        """Return the model itself, which knows only one way to look."""
        return self

    def raw_at(self, _score: float) -> float | None:
        """Return nothing: no picture scores anything else."""
        return None

    def inspect(self, pictures: Sequence[Picture]) -> list[Inspection]:
        """Wait, and score each picture of (height, width) or (height, width, 3) at 0.1."""
        time.sleep(self._cost_s * len(pictures))
        return [Inspection(0.1, 0.1, _MAP, ()) for _ in pictures]


async def _run(config: Path, cost_ms: float) -> None:
    settings = load(config)
    log.configure("warning", json=False)
    stop = asyncio.Event()
    async with adapters_for(settings) as adapters:
        model = FixedCostModel(settings.detector.member, cost_ms)
        service = DetectorService(
            settings,
            plan=adapters.plan,
            bus=adapters.bus,
            payloads=adapters.payloads,
            clock=adapters.clock,
            model=model,
        )
        with stop_on_signals(stop):
            await serve([service], stop, drain_s=settings.drain_s, clock=adapters.clock)


if __name__ == "__main__":
    asyncio.run(_run(Path(sys.argv[1]), float(sys.argv[2])))
