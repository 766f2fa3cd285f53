"""`linewarden bench attention`: what value-to-value attention costs a ViT, on random weights."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from detector.model.backbone.assemble import tower_of
from detector.model.backbone.weights import RANDOM, read_weights

if TYPE_CHECKING:
    from detector.model.backbone.tower import Tower
    from detector.model.profiles import Profile


@dataclass(frozen=True, slots=True)
class AttentionCost:
    """Seconds a picture with and without, the medians of `rounds` that took turns."""

    profile: str
    rounds: int
    plain_s: float
    value_s: float

    @property
    def ratio(self) -> float:
        """How many times as long a picture takes with it."""
        return self.value_s / self.plain_s


def bench_attention(plain: Profile, value: Profile, *, rounds: int) -> AttentionCost:
    """Time two profiles of one tower, that differ in value-to-value attention, on one picture of noise."""
    weights = read_weights(plain.tower, RANDOM, plain.canvas)
    towers = [tower_of(profile, weights.tensors) for profile in (plain, value)]
    batch = torch.randn(1, 3, plain.sides_px[0], plain.sides_px[0], generator=torch.Generator().manual_seed(0))
    times: tuple[list[float], list[float]] = ([], [])
    for tower in towers:
        _timed(tower, batch, plain)
    for _ in range(rounds):
        for tower, taken in zip(towers, times, strict=True):
            taken.append(_timed(tower, batch, plain))
    return AttentionCost(plain.name, rounds, statistics.median(times[0]), statistics.median(times[1]))


def _timed(tower: Tower, batch: torch.Tensor, settings: Profile) -> float:
    before = time.perf_counter()
    with torch.inference_mode():
        tower.stages(batch, settings.stages)
    return time.perf_counter() - before
