"""Learnt heads: each reads what the tower sees of a picture and answers with one logit a cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from detector.model.head_shape import PROMPT, REFINER, HeadShape
from detector.model.prompt_map import PromptMap
from detector.model.refiner import Refiner
from shared.errors import ConfigError, ModelCorruptError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from detector.runtime.base import Seen


def build_head(shape: HeadShape) -> nn.Module:
    """Return an untrained head; ConfigError if there is no such kind.

    A head takes levels (B, C_l, h_l, w_l), finest first, each patch's difference from its nearest good one (B, D, rows,
    columns) and its relative distance (B, rows, columns), all float32, and gives logits (B, h, w) on a grid of its own.
    """
    if shape.kind == PROMPT:
        return PromptMap(shape.channels, shape.width, shape.prompts)
    if shape.kind == REFINER:
        return Refiner(shape.channels, shape.patch, shape.width)
    raise ConfigError(f"there is no head {shape.kind!r}", f"Choose from: {PROMPT}, {REFINER}.")


@dataclass(frozen=True, slots=True, eq=False)
class Ensemble:
    """Heads of one shape, each learnt from other good pictures than the others."""

    shape: HeadShape
    heads: tuple[nn.Module, ...]

    def logits(
        self, seen: Seen, differences: NDArray[np.float32], relative: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return the heads' mean logits (h, w) float32 for one picture and its patches' differences (h', w', D)."""
        with torch.inference_mode():
            levels = tuple(torch.from_numpy(level)[None] for level in seen.levels)
            inputs = (levels, torch.from_numpy(differences).permute(2, 0, 1)[None], torch.from_numpy(relative)[None])
            found = torch.stack([head(*inputs)[0] for head in self.heads])
            return np_float32(found.mean(dim=0))

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """Return every head's tensors, KIND.NUMBER.NAME, as `filled_ensemble` takes them."""
        return {
            f"{self.shape.kind}.{index}.{name}": tensor.contiguous().numpy()
            for index, head in enumerate(self.heads)
            for name, tensor in head.state_dict().items()
        }


def filled_ensemble(shape: HeadShape, members: int, tensors: Mapping[str, torch.Tensor]) -> Ensemble:
    """Return an ensemble with these tensors, those of `Ensemble.tensors`; ModelCorruptError if they do not fit."""
    heads = []
    for index in range(members):
        prefix = f"{shape.kind}.{index}."
        state = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        head = build_head(shape)
        try:
            head.load_state_dict(state)
        except RuntimeError as error:
            raise ModelCorruptError(
                f"the tensors of the {shape.kind} {index} do not fit it",
                "Train the model again with `linewarden train`.",
            ) from error
        heads.append(head)
    return Ensemble(shape, frozen(heads))


def np_float32(values: torch.Tensor) -> NDArray[np.float32]:
    """Return a float32 tensor's values."""
    array: NDArray[np.float32] = values.numpy()
    return array


def frozen(heads: Sequence[nn.Module]) -> tuple[nn.Module, ...]:
    """Return heads that are no longer to be trained."""
    return tuple(head.eval().requires_grad_(requires_grad=False) for head in heads)
