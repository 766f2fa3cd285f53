"""The similarity map: how much closer each patch is to the abnormal prompt than to the normal one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.model.lens import Size

# CLIP was trained with similarities over a temperature of 0.07 (Radford et al., ICML 2021, section 2.5).
TEMPERATURE = 0.07
_START_BIAS = -2.0


class PromptMap(nn.Module):
    """One linear adapter for each level into the joint space, and the prompts' cached vectors.

    With two prompts (normal, abnormal) a patch's logit is the difference of its similarities, which is the softmax over
    the two; with one, abnormal alone, it is that similarity. A level's map is brought to the grid, and the logits are
    averaged over levels, as CLIP-ADA's similarity map is.
    """

    def __init__(self, channels: Sequence[int], width: int, prompts: int = 2) -> None:
        super().__init__()
        self.adapters = nn.ModuleList(nn.Conv2d(count, width, 1) for count in channels)
        self.bias = nn.Parameter(torch.tensor(_START_BIAS))
        self.prompts: torch.Tensor
        self.register_buffer("prompts", torch.zeros(prompts, width))

    def forward(self, levels: Sequence[torch.Tensor], grid: Size, prompts: torch.Tensor | None = None) -> torch.Tensor:
        """Return logits (B, grid height, grid width) for levels (B, C_l, h_l, w_l).

        `prompts`, unit rows (1 or 2, width), stand in for the cached ones while they are still being learnt.
        """
        rows = self.prompts if prompts is None else prompts
        direction = rows[-1] - rows[0] if rows.shape[0] > 1 else rows[0]
        total = torch.zeros(())
        for adapter, level in zip(self.adapters, levels, strict=True):
            unit = functional.normalize(adapter(level), dim=1)
            logits = torch.einsum("bdhw,d->bhw", unit, direction)[:, None] / TEMPERATURE
            size = (grid.height_px, grid.width_px)
            if logits.shape[2:] != size:
                logits = functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)
            total = total + logits[:, 0]
        return total / len(self.adapters) + self.bias
