"""`linewarden bench model`: what a picture costs on each engine, and what is around the encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from deploy.speed.contenders import contenders, cosine
from deploy.speed.model_figures import EngineFigures, ModelFigures, speedup_of
from deploy.speed.side import Side
from deploy.speed.subjects import RANDOM, frames, trained
from deploy.speed.timing import breakdown_of, ratio_of, timing_of
from deploy.speed.turns import STREAM_EVERY, Turns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.model.lens import Size
    from shared.wire import Encoding

_DIFFERENT: Final = 24
_WARM_UP: Final = STREAM_EVERY


def bench_model(
    model: str,
    *,
    size: Size,
    threads: int,
    rounds: int,
    engines: Sequence[str],
    encoding: Encoding,
    on_progress: Callable[[str, int, int], None],
) -> ModelFigures:
    """Let the model's engines take turns on rendered frames of `size`, whose pictures are decoded each time anew.

    `model` is a folder or one of `subjects.MODELS`; `engines` picks some of its engines. Each is in a process of its
    own, and while one works all others wait.
    """
    with (
        trained(model, size, on_progress, engines) as folder,
        contenders(
            folder,
            frames(_DIFFERENT, size, encoding=encoding),
            threads=threads,
            names=engines,
            on_progress=on_progress,
            gated=model not in RANDOM,
        ) as sides,
    ):
        name, tower = sides[0].ask(Side.named)
        canvas_px = sides[0].ask(Side.canvas_px)
        patches = [side.ask(Side.patches) for side in sides]
        turns = [Turns() for _ in sides]
        both = list(zip(sides, turns, strict=True))
        for number in range(_WARM_UP + rounds):
            counts = number >= _WARM_UP
            # Whoever begins changes with each turn: what runs after another finds its caches.
            shift = number % len(both)
            for side, taken in (*both[shift:], *both[:shift]):
                turn = side.ask(Side.turn, number)
                stream_ns = side.ask(Side.stream, number) if number % STREAM_EVERY == 0 else None
                if counts:
                    taken.each.append(turn)
                if counts and stream_ns is not None:
                    taken.stream_ns.append(stream_ns)
            on_progress("turns", number + 1, _WARM_UP + rounds)
    as_built, ours = turns[:2]
    return ModelFigures(
        model=name if model == str(folder) else model,
        tower=tower,
        canvas_px=canvas_px,
        encoding=encoding.value,
        threads=threads,
        rounds=rounds,
        engines=tuple(
            EngineFigures(
                engine=side.name,
                encoder=timing_of(taken.encoder_ns, _DIFFERENT),
                whole=timing_of(taken.whole_ns, _DIFFERENT),
                breakdown=breakdown_of(taken.parts_ns, taken.whole_ns, _DIFFERENT),
                around=ratio_of(taken.whole_ns, taken.encoder_ns) - 1,
                stream_per_s=taken.stream_per_s,
                over_as_built=speedup_of(taken, as_built),
                over_torch=speedup_of(taken, ours),
                cosine=_likeness(theirs, patches[0]),
            )
            for (side, taken), theirs in zip(both, patches, strict=True)
        ),
    )


def _likeness(theirs: Sequence[NDArray[np.float32]], reference: Sequence[NDArray[np.float32]]) -> float:
    return float(np.mean([cosine(one, other) for one, other in zip(theirs, reference, strict=True)]))
