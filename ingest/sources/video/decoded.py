"""What comes out of a stream, one item for each exposure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class PictureKind:
    """What a stream's pictures are: codec and size."""

    codec: str
    width_px: int
    height_px: int

    def __str__(self) -> str:
        return f"{self.codec} {self.width_px}x{self.height_px}"


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """One exposure: (height, width, 3) uint8 RGB, or None when it cannot be shown as it was.

    `received_ns` is the UTC time at which its first bytes were here, `reported_ns` what the camera says of it. It came
    `waited_ns` after its last bytes.
    """

    pixels: NDArray[np.uint8] | None
    kind: PictureKind | None
    received_ns: int
    reported_ns: int | None = None
    waited_ns: int = 0


class Pictures(Protocol):
    """An open stream."""

    def __iter__(self) -> Iterator[Decoded]:
        """Give each exposure; raises `SourceUnavailableError` when the stream is lost, and stops when it ends."""
        ...

    def close(self) -> None:
        """Let go; only between two exposures, by the thread that reads."""
        ...
