"""Learning to refine: two refiners, each from half of the good pictures, to be tried on the other half."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from detector.model.refiner import Refiner, Shape
from detector.training.losses import map_loss
from detector.training.pool import collate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from detector.model.profiles import Profile
    from detector.training.pool import Item

HALVES = 2
_EPOCHS = 4
_BATCH = 8
_GOOD_SHARE = 0.2
_LEARNING_RATE = 2e-3
_WEIGHT_DECAY = 1e-2
_WARM_UP = 0.1
_LONGEST_GRADIENT = 1.0
_OUTSIDE_LOGIT = -20.0


def half_of(picture: int, pictures: int) -> int:
    """Return in which half a picture is: neighbours in the order of names stay together, as in the folds."""
    return int(picture * HALVES >= pictures)


def learn_refiner(
    good: Sequence[Item], spoilt: Sequence[Item], settings: Profile, seed: int, on_step: Callable[[int, int], None]
) -> Refiner:
    """Return a refiner that tells spoilt cells from good ones; the same items and seed give the same refiner."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _learn(good, spoilt, settings, np.random.default_rng(seed), on_step)


def logits_of(refiner: Refiner, item: Item) -> NDArray[np.float32]:
    """Return a refiner's logits (h, w) float32 for one item."""
    batch = collate([item], mirror=False)
    with torch.inference_mode():
        logits: torch.Tensor = refiner(batch.levels, batch.difference, batch.relative)
    return np.asarray(logits[0].numpy(), dtype=np.float32)


def _learn(
    good: Sequence[Item],
    spoilt: Sequence[Item],
    settings: Profile,
    rng: np.random.Generator,
    on_step: Callable[[int, int], None],
) -> Refiner:
    channels = tuple(level.shape[0] for level in good[0].levels)
    refiner = Refiner(Shape(channels, good[0].difference.shape[0], settings.refine_width))
    refiner.standardise(*_statistics(good))
    learnt = [parameter for parameter in refiner.parameters() if parameter.requires_grad]
    steps = max(1, round(_EPOCHS * len(spoilt) / (_BATCH * (1.0 - _GOOD_SHARE))))
    optimiser = torch.optim.AdamW(learnt, _LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _LEARNING_RATE, total_steps=steps + 1, pct_start=_WARM_UP)
    refiner.train()
    for step in range(1, steps + 1):
        batch = collate(_draw(good, spoilt, rng), mirror=bool(rng.random() < 0.5))  # noqa: PLR2004 - a fair coin
        logits = refiner(batch.levels, batch.difference, batch.relative)
        # Beyond a picture's rim nothing is to be learnt.
        loss = map_loss(torch.where(batch.inside > 0, logits, _OUTSIDE_LOGIT), batch.mask)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(learnt, _LONGEST_GRADIENT)
        optimiser.step()
        schedule.step()
        on_step(step, steps)
    return refiner.eval().requires_grad_(requires_grad=False)


def _draw(good: Sequence[Item], spoilt: Sequence[Item], rng: np.random.Generator) -> list[Item]:
    count = int(rng.binomial(_BATCH, _GOOD_SHARE))
    chosen = [good[int(index)] for index in rng.integers(len(good), size=count)]
    return chosen + [spoilt[int(index)] for index in rng.integers(len(spoilt), size=_BATCH - count)]


def _statistics(items: Sequence[Item]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Return each level's channel means and deviations over good pictures."""
    means, deviations = [], []
    for index in range(len(items[0].levels)):
        rows = torch.cat([item.levels[index].flatten(1).float() for item in items], dim=1)
        means.append(rows.mean(dim=1))
        deviations.append(rows.std(dim=1) + 1e-3)
    return means, deviations
