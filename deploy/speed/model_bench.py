"""`linewarden bench model`: what a picture costs on each engine, and what is around the encoder."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from deploy.speed.contenders import Contender, canvas_of, contenders, cosine, views_of
from deploy.speed.model_figures import EngineFigures, ModelFigures
from deploy.speed.subjects import RANDOM, Frame, frames, trained
from deploy.speed.timing import breakdown_of, ratio_of, timing_of
from deploy.speed.tracing import Span, Tracer
from detector import decode
from detector.runtime.making import share_threads
from shared.clock import NS_PER_S

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.model.lens import Size
    from shared.wire import Encoding

_DIFFERENT: Final = 24
_WARM_UP: Final = 4
_BATCH: Final = 8
_BATCH_EVERY: Final = 4


class _Side:
    """One engine's turns."""

    def __init__(self, contender: Contender, canvases: Sequence[NDArray[np.float32]], threads: int) -> None:
        self.contender = contender
        self._threads = threads
        self.encoder_ns: list[int] = []
        self.whole_ns: list[int] = []
        self.parts_ns: list[dict[str, int]] = []
        self.batch_ns: list[int] = []
        self._canvases = canvases
        self._views = views_of(contender.model)

    def turn(self, number: int, frame: Frame, *, counts: bool) -> None:
        """Look at one frame three times: with the encoder alone, whole, and whole with its parts measured."""
        canvas = self._canvases[number % len(self._canvases)]
        self._wake(canvas)
        encoder_ns = _timed(lambda: self._encode(canvas))
        # What comes second finds the frame in the caches: each is second every other time that a frame is shown.
        if (number // len(self._canvases) + number) % 2:
            parts_ns = self._parts(frame)
            whole_ns = _timed(lambda: self._inspect(frame))
        else:
            whole_ns = _timed(lambda: self._inspect(frame))
            parts_ns = self._parts(frame)
        if counts:
            self.encoder_ns.append(encoder_ns)
            self.whole_ns.append(whole_ns)
            self.parts_ns.append(parts_ns)

    def batch(self, frames: Sequence[Frame], *, counts: bool) -> None:
        """Look at several frames at once, as a detector does for which they wait."""
        self._wake(self._canvases[0])
        took_ns = _timed(lambda: self._inspect(*frames))
        if counts:
            self.batch_ns.append(took_ns)

    def _wake(self, canvas: NDArray[np.float32]) -> None:
        """Give the process's libraries the threads that this engine leaves them, and encode once for nothing.

        Other engines' threads still spin for a moment, and its own sleep.
        """
        share_threads(self.contender.model.engine, self._threads)
        self._encode(canvas)

    def _parts(self, frame: Frame) -> dict[str, int]:
        with Tracer((*self.contender.spans(), Span(decode, "decode_frame", "decode"))) as tracer:
            self._inspect(frame)
            return tracer.take()

    def _encode(self, canvas: NDArray[np.float32]) -> None:
        for _ in range(self._views):
            self.contender.see(canvas)

    def _inspect(self, *frames: Frame) -> None:
        model = self.contender.model
        model.inspect(model.engine.lanes.each(lambda one: decode.decode_frame(one.message, one.payload), frames))

    def figures(self, reference: _Side, likeness: float) -> EngineFigures:
        """Return what came of its turns, beside those of the reference."""
        return EngineFigures(
            engine=self.contender.name,
            encoder=timing_of(self.encoder_ns, _DIFFERENT),
            whole=timing_of(self.whole_ns, _DIFFERENT),
            breakdown=breakdown_of(self.parts_ns, self.whole_ns, _DIFFERENT),
            around=ratio_of(self.whole_ns, self.encoder_ns) - 1,
            speedup=ratio_of(reference.whole_ns, self.whole_ns),
            batched_per_s=_BATCH * NS_PER_S / float(np.median(self.batch_ns)),
            batched_speedup=ratio_of(reference.batch_ns, self.batch_ns),
            cosine=likeness,
        )


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

    `model` is a folder or one of `subjects.MODELS`; `engines` picks some of its engines.
    """
    with (
        trained(model, size, on_progress, engines) as folder,
        contenders(folder, threads=threads, names=engines, gated=model not in RANDOM) as found,
    ):
        seen = frames(_DIFFERENT, size, encoding=encoding)
        canvases = [canvas_of(found[0].model, frame.pixels) for frame in seen]
        sides = [_Side(one, canvases, threads) for one in found]
        reference = [found[0].see(canvas) for canvas in canvases[:_WARM_UP]]
        likeness = [
            float(
                np.mean([cosine(theirs, one.see(canvas)) for theirs, canvas in zip(reference, canvases, strict=False)])
            )
            for one in found
        ]
        for number in range(_WARM_UP + rounds):
            # Whoever begins changes with each turn: what runs after another finds its caches.
            shift = number % len(sides)
            for side in (*sides[shift:], *sides[:shift]):
                side.turn(number, seen[number % len(seen)], counts=number >= _WARM_UP)
                if number % _BATCH_EVERY == 0:
                    some = [seen[(number + place) % len(seen)] for place in range(_BATCH)]
                    side.batch(some, counts=number >= _WARM_UP)
            on_progress("turns", number + 1, _WARM_UP + rounds)
    settings = found[0].model.settings
    height_px, width_px = canvases[0].shape[:2]
    return ModelFigures(
        model=settings.name if model == str(folder) else model,
        tower=settings.tower,
        canvas_px=(height_px, width_px),
        encoding=encoding.value,
        threads=threads,
        rounds=rounds,
        engines=tuple(side.figures(sides[0], alike) for side, alike in zip(sides, likeness, strict=True)),
    )


def _timed(work: Callable[[], None]) -> int:
    began_ns = time.perf_counter_ns()
    work()
    return time.perf_counter_ns() - began_ns
