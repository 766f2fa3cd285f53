"""The port between a model and the engine that computes for it. Importing it imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    """What the tower sees of one picture: the heads' levels (C_l, h_l, w_l), patches (rows, columns, D) float32."""

    levels: tuple[NDArray[np.float32], ...]
    patches: NDArray[np.float32]

    def about(self, row: int, column: int) -> NDArray[np.float32]:
        """Return the patches of a cell and of its neighbours, (n, D) float32, of their own."""
        around = self.patches[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
        return around.reshape(-1, around.shape[2]).copy()


@dataclass(frozen=True, slots=True, eq=False)
class Glance:
    """What a sight finds of one picture: `View.relative`, (rows, columns) float32, and the patches that matter to it.

    `places` (m,) int32 are the cells with the highest distances, each by its index in C order, and `patches` (m, D)
    float32 what lies there. To hand out all patches would take a third as long as to search for them.
    """

    relative: NDArray[np.float32]
    places: NDArray[np.int32]
    patches: NDArray[np.float32]

    def about(self, row: int, column: int) -> NDArray[np.float32]:
        """Return those of a cell and its neighbours, (n, D) float32, or else the nearest that there are."""
        rows, columns = np.divmod(self.places, self.relative.shape[1])
        away = np.maximum(np.abs(rows - row), np.abs(columns - column))
        return np.asarray(self.patches[away <= max(1, int(away.min()))], dtype=np.float32)


class Sight(Protocol):
    """A whole look through one view: from the shrunk picture to what its patches' distances are."""

    def __call__(self, small: Levels) -> Glance | None:
        """Return what is found of a picture that `Lens.sized` gave.

        None where this size and depth did not come often enough yet. EngineError if the engine fails, or gives what is
        no number.
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
