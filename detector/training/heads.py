"""Learning a model's heads: for each kind two, each from half of every product's good pictures."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch

from detector.model.head_shape import PROMPT, HeadShape
from detector.model.heads import Ensemble, build_head, frozen
from detector.model.prompt_map import PromptMap
from detector.training.learn import Lesson, learn, logits_of
from detector.training.pool import HALVES, good_item, good_items, spoilt_items
from detector.training.prompts import FreePrompts, PromptLearner, TextPrompts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from detector.model.backbone.text import TextTower
    from detector.model.profiles import Profile
    from detector.training.checkpoints import Checkpoint, Checkpoints
    from detector.training.pool import Bench, Item


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
    good = [good_items(bench, len(benches), partial(report, f"{bench.name}: good pictures")) for bench in benches]
    spoilt = [
        spoilt_items(bench, len(benches), seed, partial(report, f"{bench.name}: spoilt pictures")) for bench in benches
    ]
    # More products are more to learn, and share what they have in common.
    steps = settings.head_steps * (1 + len(benches)) // 2
    ensembles = []
    for kind in settings.heads:
        one = next(iter(good[0].values()))
        channels = tuple(level.shape[0] for level in one.levels)
        width = _width(kind, settings.head_width, text)
        shape = HeadShape(kind, channels, one.difference.shape[0], width, settings.prompt_count)
        heads = []
        for half in range(HALVES):
            lesson = Lesson(
                in_turns([[item for item in items.values() if item.half == half] for items in good]),
                in_turns([[item for item in items if item.half == half] for items in spoilt]),
                in_turns([[item for item in items if item.half != half] for items in spoilt]),
            )
            name = f"{kind} {half + 1}"
            heads.append(
                _learnt(
                    shape,
                    settings,
                    text,
                    lesson,
                    steps=steps,
                    seed=seed + half,
                    checkpoint=checkpoints.of(f"{kind}-{half}"),
                    report=partial(report, name),
                )
            )
        ensembles.append(Ensemble(shape, frozen(heads)))
    logits = [_held_out_logits(bench, kept, ensembles, report) for bench, kept in zip(benches, good, strict=True)]
    return tuple(ensembles), logits


def _held_out_logits(
    bench: Bench, kept: Mapping[int, Item], ensembles: Sequence[Ensemble], report: Callable[[str, int, int], None]
) -> list[list[NDArray[np.float32]]]:
    """Return, for each ensemble and good picture, the logits of the head that has not learnt from it."""
    total = len(bench.reference.goods.paths)
    logits: list[list[NDArray[np.float32]]] = [[] for _ in ensembles]
    for index in range(total):
        item = kept.get(index) or good_item(bench, index)
        for ensemble, found in zip(ensembles, logits, strict=True):
            found.append(logits_of(ensemble.heads[1 - item.half], item))
        report(f"{bench.name}: held-out scores", index + 1, total)
    return logits


def in_turns(products: Sequence[Sequence[Item]]) -> list[Item]:
    """Return the products' items in turns, each product as often as the others: the shorter ones begin again.

    So each weighs the same, and the first few of them stand for all products.
    """
    longest = max(len(items) for items in products)
    return [items[index % len(items)] for index in range(longest) for items in products]


def _learnt(
    shape: HeadShape,
    settings: Profile,
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
            TextPrompts(text, settings.prompt_word, context_length=settings.prompt_context, count=shape.prompts)
            if text is not None
            else FreePrompts(shape.width, count=shape.prompts)
        )
        learner = PromptLearner(head, prompts)
    learn(learner, lesson, steps=steps, seed=seed, checkpoint=checkpoint, on_step=report)
    return learner.settle()


def _width(kind: str, width: int, text: TextTower | None) -> int:
    """Return a head's channels: a prompt map's are those of the text tower's joint space."""
    if kind != PROMPT or text is None:
        return width
    return text.joint_width
