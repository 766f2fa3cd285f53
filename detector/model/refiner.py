"""Region refinement among features: a small decoder sharpens what the bank points at."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

_START_BIAS = -3.0
_DROPOUT = 0.1
_DIFFERENCE_SCALE = 10.0
_SMALLEST_RELATIVE = 1e-2
# Wide kernels where cells are large, narrow ones where they are many.
_COARSE_KERNEL, _FINE_KERNEL = 5, 3


class Refiner(nn.Module):
    """Reads every level, how each patch differs from its nearest good one, and the bank's map; gives finer logits.

    Each input goes through one linear layer to `width` channels. From the finest level down each one takes the finer
    ones in; from the coarsest up, residual blocks mix neighbours and hand on what they found. Some 20,000 weights.
    Nothing in it looks at the whole picture, so that a picture's size does not matter.
    """

    def __init__(self, channels: Sequence[int], patch: int, width: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(nn.Conv2d(count, width, 1) for count in channels)
        self.difference = nn.Conv2d(patch, width, 1)
        self.relative = nn.Conv2d(1, width, 1)
        self.dropout = nn.Dropout2d(_DROPOUT)
        last = len(channels) - 1
        self.blocks = nn.ModuleList(_blocks(width, index, last) for index in range(len(channels)))
        self.out = nn.Conv2d(width, 1, 1)
        nn.init.constant_(cast("torch.Tensor", self.out.bias), _START_BIAS)
        self.means = nn.ParameterList(torch.zeros(count) for count in channels)
        self.deviations = nn.ParameterList(torch.ones(count) for count in channels)
        for fixed in (*self.means, *self.deviations):
            fixed.requires_grad_(requires_grad=False)
        # Convolutions of each channel for itself run three times as fast with the channels innermost.
        self.to(memory_format=torch.channels_last)

    def standardise(self, means: Sequence[torch.Tensor], deviations: Sequence[torch.Tensor]) -> None:
        """Take each channel's mean and deviation, (C_l,) a level, from good pictures."""
        for kept, given in zip((*self.means, *self.deviations), (*means, *deviations), strict=True):
            kept.copy_(given)

    def forward(self, levels: Sequence[torch.Tensor], difference: torch.Tensor, relative: torch.Tensor) -> torch.Tensor:
        """Return logits (B, h, w) on the first level's grid; see `build_head`."""
        mixed = []
        for layer, level, mean, deviation in zip(self.levels, levels, self.means, self.deviations, strict=True):
            plain = (level - mean[:, None, None]) / deviation[:, None, None]
            mixed.append(self.dropout(layer(plain.contiguous(memory_format=torch.channels_last))))
        place = _place_of(levels, difference)
        unlike = self.difference((_DIFFERENCE_SCALE * difference.abs()).contiguous(memory_format=torch.channels_last))
        far = self.relative(torch.log(relative + _SMALLEST_RELATIVE)[:, None])
        mixed[place] = mixed[place] + _to(self.dropout(unlike) + far, mixed[place])
        down = [functional.gelu(mixed[0])]
        for level in mixed[1:]:
            down.append(functional.gelu(level + functional.adaptive_avg_pool2d(down[-1], level.shape[2:])))
        found = self.blocks[-1](down[-1])
        for blocks, level in zip(list(self.blocks)[-2::-1], down[-2::-1], strict=True):
            found = blocks(level + _to(found, level))
        return cast("torch.Tensor", self.out(found))[:, 0]


class _Block(nn.Module):
    """x + gelu(W norm(gelu(depthwise(x)))), the norm over each cell's channels (Liu et al., ConvNeXt, CVPR 2022)."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.pointwise = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed = functional.gelu(self.depthwise(x)).permute(0, 2, 3, 1)
        return x + functional.gelu(self.pointwise(self.norm(mixed))).permute(0, 3, 1, 2)


def _blocks(width: int, index: int, last: int) -> nn.Sequential:
    """Return a level's blocks: two for the finest and the coarsest, one between."""
    count = 2 if index in {0, last} else 1
    kernel = _FINE_KERNEL if index == 0 < last else _COARSE_KERNEL
    return nn.Sequential(*(_Block(width, kernel) for _ in range(count)))


def _place_of(levels: Sequence[torch.Tensor], difference: torch.Tensor) -> int:
    """Return the finest level whose grid is no finer than the patches'."""
    return next((index for index, level in enumerate(levels) if level.shape[2] <= difference.shape[2]), len(levels) - 1)


def _to(level: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    if level.shape[2:] == like.shape[2:]:
        return level
    return functional.interpolate(level, size=like.shape[2:], mode="bilinear", align_corners=False)
