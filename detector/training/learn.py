"""Learning a head from good and spoilt pictures; how long is decided by spoilt ones that it does not learn from."""

from __future__ import annotations

import ast
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.metrics import average_precision_score
from torch import nn

from detector.model.heads import np_float32
from detector.model.refiner import Refiner
from detector.training.losses import map_loss
from detector.training.windows import draw_windows, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from detector.training.checkpoints import Checkpoint
    from detector.training.pool import Item

_BATCH = 12
_GOOD_SHARE = 0.2
_LEARNING_RATE = 2e-3
_WEIGHT_DECAY = 1e-2
_WARM_UP = 0.1
_LONGEST_GRADIENT = 1.0
_OUTSIDE_LOGIT = -20.0
# Between two looks at the held-out spoilt pictures, and how many looks without progress end the learning.
_LOOK_EVERY = 100
_PATIENCE = 4
_HELD_OUT = 24
# So many good pictures tell a channel's mean.
_SAMPLED = 32


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What a head learns from, `good` and `spoilt`, and spoilt ones of other good pictures that tell how well."""

    good: Sequence[Item]
    spoilt: Sequence[Item]
    held_out: Sequence[Item]


def learn(
    head: nn.Module,
    lesson: Lesson,
    *,
    steps: int,
    seed: int,
    checkpoint: Checkpoint,
    on_step: Callable[[int, int], None],
) -> nn.Module:
    """Return the head as it was when it told held-out defects best; the same lesson and seed give the same head.

    `head` is a `build_head`'s, or a `PromptLearner` around one. A `checkpoint` that holds a broken-off learning is
    gone on from.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _Learning(head, lesson, steps, seed).run(checkpoint, on_step)


def logits_of(head: nn.Module, item: Item) -> NDArray[np.float32]:
    """Return a head's logits (h, w) float32 for one item."""
    batch = whole(item)
    with torch.inference_mode():
        return np_float32(head(batch.levels, batch.difference, batch.relative)[0])


class _Learning:
    """One head's way from its start to the best it was."""

    def __init__(self, head: nn.Module, lesson: Lesson, steps: int, seed: int) -> None:
        self._head = head
        self._lesson = lesson
        self._steps = steps
        self._rng = np.random.default_rng(seed)
        if isinstance(head, Refiner):
            head.standardise(*_statistics(lesson.good))
        self._learnt = [parameter for parameter in head.parameters() if parameter.requires_grad]
        self._optimiser = torch.optim.AdamW(self._learnt, _LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimiser, _LEARNING_RATE, total_steps=steps + 1, pct_start=_WARM_UP
        )
        self._done = 0
        self._best = -1.0
        self._best_state = deepcopy(head.state_dict())
        self._looks_since_best = 0

    def run(self, checkpoint: Checkpoint, on_step: Callable[[int, int], None]) -> nn.Module:
        """Learn to the end, looking at the held-out pictures now and then."""
        kept = checkpoint.read()
        if kept is not None:
            self._go_on_from(kept)
        while self._done < self._steps and self._looks_since_best < _PATIENCE:
            self._step()
            if self._done % _LOOK_EVERY == 0 or self._done == self._steps:
                self._look()
                checkpoint.write(self._state())
            on_step(self._done, self._steps)
        on_step(self._steps, self._steps)
        self._head.load_state_dict(self._best_state)
        return self._head.eval().requires_grad_(requires_grad=False)

    def _step(self) -> None:
        self._head.train()
        batch = draw_windows(self._draw(), self._rng)
        logits = self._head(batch.levels, batch.difference, batch.relative)
        # Beyond a picture's rim nothing is to be learnt.
        loss = map_loss(torch.where(batch.inside > 0, logits, _OUTSIDE_LOGIT), batch.mask)
        self._optimiser.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self._learnt, _LONGEST_GRADIENT)
        self._optimiser.step()
        self._schedule.step()
        self._done += 1

    def _draw(self) -> list[Item]:
        good, spoilt = self._lesson.good, self._lesson.spoilt
        count = int(self._rng.binomial(_BATCH, _GOOD_SHARE))
        chosen = [good[int(index)] for index in self._rng.integers(len(good), size=count)]
        return chosen + [spoilt[int(index)] for index in self._rng.integers(len(spoilt), size=_BATCH - count)]

    def _look(self) -> None:
        self._head.eval()
        items = self._lesson.held_out[:_HELD_OUT]
        logits = np.concatenate([logits_of(self._head, item).ravel() for item in items])
        truth = np.concatenate([item.mask.numpy().ravel() for item in items])
        found = float(average_precision_score(truth, logits)) if truth.any() else 0.0
        self._looks_since_best += 1
        if found > self._best:
            self._best, self._best_state, self._looks_since_best = found, deepcopy(self._head.state_dict()), 0

    def _state(self) -> dict[str, object]:
        return {
            "done": self._done,
            "head": self._head.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "schedule": self._schedule.state_dict(),
            "best": self._best,
            "best_state": self._best_state,
            "looks_since_best": self._looks_since_best,
            "rng": repr(self._rng.bit_generator.state),
            "torch_rng": torch.get_rng_state(),
        }

    def _go_on_from(self, kept: dict[str, Any]) -> None:
        self._done = kept["done"]
        self._head.load_state_dict(kept["head"])
        self._optimiser.load_state_dict(kept["optimiser"])
        self._schedule.load_state_dict(kept["schedule"])
        self._best, self._best_state = kept["best"], kept["best_state"]
        self._looks_since_best = kept["looks_since_best"]
        self._rng.bit_generator.state = ast.literal_eval(kept["rng"])
        torch.set_rng_state(kept["torch_rng"])


def _statistics(items: Sequence[Item]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Return each level's channel means and deviations over good pictures."""
    means, deviations = [], []
    for index in range(len(items[0].levels)):
        rows = torch.cat([item.levels[index].flatten(1).float() for item in items[:_SAMPLED]], dim=1)
        means.append(rows.mean(dim=1))
        deviations.append(rows.std(dim=1) + 1e-3)
    return means, deviations
