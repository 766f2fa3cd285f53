"""Region refinement among features: a small decoder sharpens what the bank points at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

_START_BIAS = -3.0
_DROPOUT = 0.1
# Context of 5, 9 and 5 cells a block: a crack is told from grain by how it goes on.
_DILATIONS = (1, 2, 1)
_DIFFERENCE_SCALE = 10.0
_SMALLEST_RELATIVE = 1e-2


@dataclass(frozen=True, slots=True)
class Shape:
    """What a refiner is built for: the levels' channels, a patch's length and the decoder's width."""

    channels: tuple[int, ...]
    patch: int
    width: int


class Refiner(nn.Module):
    """Reads every level, how each patch differs from its nearest good one, and the bank's map; gives finer logits.

    Each input goes through one linear layer to `width` channels and is brought to the first level's grid; three
    residual blocks of depthwise and pointwise convolutions follow. Some 15,000 weights. Nothing in it looks at the
    whole picture, so that a picture's size does not matter.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        width = shape.width
        self.levels = nn.ModuleList(nn.Conv2d(count, width, 1) for count in shape.channels)
        self.difference = nn.Conv2d(shape.patch, width, 1)
        self.relative = nn.Conv2d(1, width, 1)
        self.dropout = nn.Dropout2d(_DROPOUT)
        self.blocks = nn.Sequential(*(_Block(width, dilation) for dilation in _DILATIONS))
        self.out = nn.Conv2d(width, 1, 1)
        nn.init.constant_(cast("torch.Tensor", self.out.bias), _START_BIAS)
        self.means = nn.ParameterList(torch.zeros(count) for count in shape.channels)
        self.deviations = nn.ParameterList(torch.ones(count) for count in shape.channels)
        for fixed in (*self.means, *self.deviations):
            fixed.requires_grad_(requires_grad=False)

    def standardise(self, means: Sequence[torch.Tensor], deviations: Sequence[torch.Tensor]) -> None:
        """Take each channel's mean and deviation, (C_l,) a level, from good pictures."""
        for kept, given in zip((*self.means, *self.deviations), (*means, *deviations), strict=True):
            kept.copy_(given)

    def forward(self, levels: Sequence[torch.Tensor], difference: torch.Tensor, relative: torch.Tensor) -> torch.Tensor:
        """Return logits (B, h, w) on the first level's grid.

        `levels` are (B, C_l, h_l, w_l) float32, `difference` (B, D, rows, columns) a patch's less its nearest good one,
        and `relative` (B, rows, columns) its distance relative to what is usual.
        """
        size = (levels[0].shape[2], levels[0].shape[3])
        coarse = torch.log(relative + _SMALLEST_RELATIVE)[:, None]
        total = _to(self.dropout(self.difference(_DIFFERENCE_SCALE * difference.abs())), size)
        total = total + _to(self.relative(coarse), size)
        for layer, level, mean, deviation in zip(self.levels, levels, self.means, self.deviations, strict=True):
            plain = (level - mean[:, None, None]) / deviation[:, None, None]
            total = total + _to(self.dropout(layer(plain)), size)
        return cast("torch.Tensor", self.out(self.blocks(functional.gelu(total))))[:, 0]


class _Block(nn.Module):
    """x + gelu(W norm(gelu(depthwise(x)))), the norm over each cell's channels (Liu et al., ConvNeXt, CVPR 2022)."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(
            width, width, 5, padding=2 * dilation, dilation=dilation, groups=width, padding_mode="replicate"
        )
        self.norm = nn.LayerNorm(width)
        self.pointwise = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed = functional.gelu(self.depthwise(x)).permute(0, 2, 3, 1)
        return x + functional.gelu(self.pointwise(self.norm(mixed))).permute(0, 3, 1, 2)


def _to(level: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    if level.shape[2:] == size:
        return level
    return functional.interpolate(level, size=size, mode="bilinear", align_corners=False)
