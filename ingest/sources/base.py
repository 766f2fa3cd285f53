"""The source port: a camera, or what stands in for one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """One exposure.

    `pixels` is (height, width, 3) uint8 RGB or (height, width) uint8 grey, or None when the exposure happened but gave
    no usable picture. `number` counts parts where the source knows them, over all its restarts; else it is None.
    `label` is the ground truth, "good" or a defect's name, where the source knows it.
    """

    pixels: NDArray[np.uint8] | None
    captured_at_ns: int
    number: int | None = None
    label: str | None = None


class Source(Protocol):
    """Gives one shot after the other, at its own pace."""

    @property
    def numbers_parts(self) -> bool:
        """Whether shots carry part numbers, so that several cameras can be joined to one part."""
        ...

    async def open(self) -> None:
        """Connect.

        Raises `SourceUnavailableError` when trying again makes sense, `DataError` or `ConfigError` when it does not.
        """
        ...

    async def read(self) -> Shot | None:
        """Return the next shot, or None after the last one. Raises `SourceUnavailableError` when the source is lost."""
        ...

    async def close(self) -> None:
        """Let go of the device; `open` may follow."""
        ...
