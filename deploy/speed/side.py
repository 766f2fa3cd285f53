"""One engine's turns, in its process. Importing it imports no torch."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from deploy.speed.parts import spans, split
from deploy.speed.tracing import Tracer
from deploy.speed.turns import AT_ONCE, STREAM, Turn
from detector import decode
from detector.model.lens import in_levels
from detector.runtime.lanes import Lanes
from detector.runtime.often import OFTEN

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from deploy.speed.frame import Frame
    from deploy.speed.recipe import Recipe
    from shared.domain import Picture

_LIKE: Final = 4


class Side:
    """A model on one engine and the frames that it is shown, in the order of their numbers."""

    def __init__(self, recipe: Recipe, frames: Sequence[Frame]) -> None:
        """Make the engine, and all that it makes for a size that comes often: the errors of `load_with`."""
        self._model = recipe.made()
        self._frames = frames
        lens = self._model.product.views[0].lens
        self._canvases = [lens.look(in_levels(frame.pixels), self._model.settings) for frame in frames]
        # How often the encoder runs for a picture that nobody doubts.
        self._views = len(self._model.product.views) if 0 in self._model.settings.asked else 1
        # As a detector whose engine has no lanes: several pictures are decoded side by side, and seen together.
        self._decoding = Lanes(recipe.threads)
        # The graphs of the bare encoder, of one picture, and of several in lanes.
        for _ in range(OFTEN):
            self._encode(self._canvases[0])
            self._inspect(frames[0])
        self.stream(0)
        self._model.engine.settle()

    def canvas_px(self) -> tuple[int, int]:
        """Return the height and width of what the encoder is shown."""
        height_px, width_px = self._canvases[0].shape[:2]
        return height_px, width_px

    def named(self) -> tuple[str, str]:
        """Return the names of the profile and of its tower."""
        return self._model.settings.name, self._model.settings.tower

    def patches(self) -> list[NDArray[np.float32]]:
        """Return the bare encoder's patches, (rows, columns, D) float32 each, of the first few frames."""
        return [self._model.engine.see([canvas])[0].patches for canvas in self._canvases[:_LIKE]]

    def turn(self, number: int) -> Turn:
        """Look at one frame three times: with the encoder alone, whole, and whole with its parts measured."""
        place = number % len(self._frames)
        canvas, frame = self._canvases[place], self._frames[place]
        self._wake(number)
        encoder_ns = _timed(lambda: self._encode(canvas))
        # What comes second finds the frame in the caches: each is second every other time that a frame is shown.
        if (number // len(self._frames) + number) % 2:
            parts_ns = self._parts(frame)
            whole_ns = _timed(lambda: self._inspect(frame))
        else:
            whole_ns = _timed(lambda: self._inspect(frame))
            parts_ns = self._parts(frame)
        return Turn(encoder_ns, whole_ns, split(parts_ns, encoder_ns))

    def stream(self, number: int) -> int:
        """Return what `STREAM` frames take that wait together, as for a detector with work, in nanoseconds."""
        some = [self._frames[(number + place) % len(self._frames)] for place in range(STREAM)]
        self._wake(number)
        return _timed(lambda: self._inspect_all(some))

    def each(self, number: int, count: int) -> list[int]:
        """Return what so many frames take, one after the other from `number` on, in nanoseconds."""
        self._wake(number)
        some = [self._frames[(number + place) % len(self._frames)] for place in range(count)]
        return [_timed(partial(self._inspect, frame)) for frame in some]

    def _wake(self, number: int) -> None:
        """Look at the frame before for nothing: the engine's threads slept, and the caches were others'.

        A detector that has work is awake. Else what comes first of a turn would pay for it, and be no measure.
        """
        place = (number - 1) % len(self._frames)
        self._inspect(self._frames[place])
        self._encode(self._canvases[place])

    def _parts(self, frame: Frame) -> dict[str, int]:
        with Tracer(spans(self._model)) as tracer:
            self._inspect(frame)
            return tracer.take()

    def _encode(self, canvas: NDArray[np.float32]) -> None:
        for _ in range(self._views):
            self._model.engine.see([canvas])

    def _inspect(self, frame: Frame) -> None:
        self._model.inspect([_decoded(frame)])

    def _inspect_all(self, frames: Sequence[Frame]) -> None:
        """Decode and inspect each in its lane where there are lanes, as a detector does; else batch after batch."""
        lanes = self._model.lanes
        if lanes.count > 1:
            lanes.each(self._inspect, frames)
            return
        for start in range(0, len(frames), AT_ONCE):
            self._model.inspect(self._decoding.each(_decoded, frames[start : start + AT_ONCE]))


def _decoded(frame: Frame) -> Picture:
    return decode.decode_frame(frame.message, frame.payload)


def _timed(work: Callable[[], None]) -> int:
    began_ns = time.perf_counter_ns()
    work()
    return time.perf_counter_ns() - began_ns
