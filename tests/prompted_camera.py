"""A camera that does what its test says, in the place of FFmpeg's."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np

from ingest.sources.video.decoded import Decoded, PictureKind

_END: Final = object()
UTC_NS: Final = 1_700_000_000_000_000_000


class PromptedCamera:
    """Shows what it is given and is silent in between, as a frozen one is; it ends or fails when it is told to."""

    def __init__(self) -> None:
        self._acts: queue.Queue[object] = queue.Queue()
        self.closed = False

    def show(self, *pictures: Decoded) -> None:
        """Give these pictures to whoever reads."""
        for picture in pictures:
            self._acts.put(picture)

    def fail(self, error: Exception) -> None:
        """Raise this error to whoever reads."""
        self._acts.put(error)

    def end(self) -> None:
        """End the stream."""
        self._acts.put(_END)

    def wait_until_read(self) -> None:
        """Return once the reader has done with all that was shown."""
        self._acts.join()

    def __iter__(self) -> Iterator[Decoded]:
        while True:
            act = self._acts.get()
            try:
                match act:
                    case Decoded():
                        yield act
                    case Exception():
                        raise act
                    case _:
                        return
            finally:
                self._acts.task_done()

    def close(self) -> None:
        """Be let go of."""
        self.closed = True


@contextmanager
def prompted_camera() -> Iterator[PromptedCamera]:
    """Yield a camera whose thread ends with the test."""
    camera = PromptedCamera()
    try:
        yield camera
    finally:
        camera.end()


def picture(level: int = 0, *, width_px: int = 64, height_px: int = 32, codec: str = "h264") -> Decoded:
    """Return a picture of one grey, `level` milliseconds after a fixed instant."""
    pixels = np.full((height_px, width_px, 3), level, np.uint8)
    return Decoded(pixels, PictureKind(codec, width_px, height_px), UTC_NS + level * 1_000_000)
