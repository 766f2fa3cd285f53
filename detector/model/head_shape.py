"""What a learnt head is built for. Importing it imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from detector.runtime.base import Seen

PROMPT, REFINER = "prompt", "refiner"


@dataclass(frozen=True, slots=True)
class HeadShape:
    """What a head is built for: its kind, the levels' channels, a patch's length, its own width, and its prompts."""

    kind: str
    channels: tuple[int, ...]
    patch: int
    width: int
    prompts: int = 2


class Heads(Protocol):
    """Heads of one shape that answer together."""

    def logits(
        self, seen: Seen, differences: NDArray[np.float32], relative: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return the heads' mean logits (h, w) float32 for one picture and its patches' differences (h', w', D)."""
        ...
