"""Learning a model's heads: for each kind two, each from half of every product's good pictures."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch

from detector.model.heads import PROMPT, Ensemble, HeadShape, build_head, frozen
from detector.model.prompt_map import PromptMap
from detector.training.learn import Lesson, learn, logits_of
from detector.training.pool import HALVES, good_items, spoilt_items
from detector.training.prompts import FreePrompts, PromptLearner, TextPrompts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from detector.model.backbone.text import TextTower
    from detector.training.checkpoints import Checkpoint, Checkpoints
    from detector.training.pool import Bench

_CONTEXT_TOKENS = 12
_PROMPTS = 2
# CLIP-ADA is one model for many products: the prompt names none of them.
_WORD = "object"


def learn_heads(
    benches: Sequence[Bench],
    text: TextTower | None,
    *,
    seed: int,
    checkpoints: Checkpoints,
    report: Callable[[str, int, int], None],
) -> tuple[tuple[Ensemble, ...], list[list[list[NDArray[np.float32]]]]]:
    """Return the ensembles, and for each product, head and good picture the logits of the one that has not seen it."""
    settings = benches[0].settings
    good = [good_items(bench, partial(report, f"{bench.name}: good pictures")) for bench in benches]
    spoilt = [
        item
        for bench in benches
        for item in spoilt_items(bench, len(benches), seed, partial(report, f"{bench.name}: spoilt pictures"))
    ]
    everyone = [item for items in good for item in items]
    # More products are more to learn, and share what they have in common.
    steps = settings.head_steps * (1 + len(benches)) // 2
    ensembles = []
    for kind in settings.heads:
        channels = tuple(level.shape[0] for level in everyone[0].levels)
        shape = HeadShape(kind, channels, everyone[0].difference.shape[0], _width(kind, settings.head_width, text))
        heads = []
        for half in range(HALVES):
            lesson = Lesson(
                [item for item in everyone if item.half == half],
                [item for item in spoilt if item.half == half],
                [item for item in spoilt if item.half != half],
            )
            name = f"{kind} {half + 1}"
            heads.append(
                _learnt(
                    shape,
                    text,
                    lesson,
                    steps=steps,
                    seed=seed + half,
                    checkpoint=checkpoints.of(f"{kind}-{half}"),
                    report=partial(report, name),
                )
            )
        ensembles.append(Ensemble(shape, frozen(heads)))
    logits = [
        [[logits_of(ensemble.heads[1 - item.half], item) for item in items] for ensemble in ensembles] for items in good
    ]
    return tuple(ensembles), logits


def _learnt(
    shape: HeadShape,
    text: TextTower | None,
    lesson: Lesson,
    *,
    steps: int,
    seed: int,
    checkpoint: Checkpoint,
    report: Callable[[int, int], None],
) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = build_head(shape)
        if not isinstance(head, PromptMap):
            return learn(head, lesson, steps=steps, seed=seed, checkpoint=checkpoint, on_step=report)
        prompts = (
            TextPrompts(text, _WORD, context_length=_CONTEXT_TOKENS, count=_PROMPTS)
            if text is not None
            else FreePrompts(shape.width, count=_PROMPTS)
        )
        learner = PromptLearner(head, prompts)
    learn(learner, lesson, steps=steps, seed=seed, checkpoint=checkpoint, on_step=report)
    return learner.settle()


def _width(kind: str, width: int, text: TextTower | None) -> int:
    """Return a head's channels: a prompt map's are those of the text tower's joint space."""
    if kind != PROMPT or text is None:
        return width
    return text.joint_width
