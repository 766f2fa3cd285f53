"""The port between a model and the engine that computes for it. Importing it imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from detector.model.lens import Levels
    from detector.model.profiles import Profile
    from detector.model.view import View
    from detector.runtime.lanes import Lanes

TORCH = "torch"
"""The reference: what every other engine is measured against, and what a model that was never exported runs on."""
COMPILED = "compiled"
OPENVINO = "openvino"
OPENVINO_BF16 = "openvino-bf16"
OPENVINO_INT8 = "openvino-int8"
ONNX = "onnx"
EXPORTED = (OPENVINO, OPENVINO_BF16, OPENVINO_INT8, ONNX)
"""The engines that need files of their own, which `linewarden export` writes beside a model."""
BUILT = (TORCH, COMPILED)
"""The engines that are made of the model itself when it is loaded; both need torch."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What the tower sees of one picture: the heads' levels (C_l, h_l, w_l), patches (rows, columns, D) float32.

    `relative`, (rows, columns) float32, is `View.relative` where a sight has found it already.
    """

    levels: tuple[NDArray[np.float32], ...]
    patches: NDArray[np.float32]
    relative: NDArray[np.float32] | None = None


class Sight(Protocol):
    """A whole look through one view: from the shrunk picture to what its patches' distances are."""

    def __call__(self, small: Levels) -> Seen | None:
        """Return what is seen of a picture that `Lens.sized` gave, without levels and with `relative`.

        None where this size and depth did not come often enough yet.
        """
        ...


class Search(Protocol):
    """The search in one bank."""

    def __call__(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the cosine to the nearest row, (n,) float32, of unit patches (n, D) float32, about: see `exact`."""
        ...

    @property
    def exact(self) -> bool:
        """Whether it is right but for the rounding of float32; if not, what matters is worth a second search."""
        ...


class Engine(Protocol):
    """Computes for one model. Any thread may call it, several at once."""

    @property
    def name(self) -> str:
        """One of this module's names."""
        ...

    @property
    def lanes(self) -> Lanes:
        """Where the rest of the model works on several pictures."""
        ...

    def see(self, canvases: Sequence[NDArray[np.float32]]) -> list[Seen]:
        """Return what the tower sees of its inputs, each (H, W, 3) float32 in C order, in their order.

        There are levels where the profile has heads. EngineError if the engine fails, or gives what is no number.
        """
        ...

    def search(self, rows: NDArray[np.float32]) -> Search:
        """Return the search in a bank of unit rows (K, D) float32."""
        ...

    def sight(self, view: View, settings: Profile) -> Sight | None:
        """Return a whole look through a view; None if this engine does each step by itself."""
        ...

    def settle(self) -> None:
        """Wait for what is being made beside, for sizes that came often."""
        ...
