"""The similarity map: how much closer each patch is to the abnormal prompt than to the normal one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

# CLIP was trained with similarities over a temperature of 0.07 (Radford et al., ICML 2021, section 2.5).
TEMPERATURE = 0.07
_START_BIAS = -2.0


class PromptMap(nn.Module):
    """One linear adapter for each level into the joint space, and the prompts' cached vectors.

    With two prompts (normal, abnormal) a patch's logit is the difference of its similarities, which is the softmax over
    the two; with one, abnormal alone, it is that similarity. A level's map is brought to the finest level's grid, and
    the logits are averaged over levels, as CLIP-ADA's similarity map is.
    """

    def __init__(self, channels: Sequence[int], width: int, prompts: int = 2) -> None:
        super().__init__()
        self.adapters = nn.ModuleList(nn.Conv2d(count, width, 1) for count in channels)
        self.bias = nn.Parameter(torch.tensor(_START_BIAS))
        self.prompts: torch.Tensor
        self.register_buffer("prompts", torch.zeros(prompts, width))

    def forward(
        self, levels: Sequence[torch.Tensor], _difference: torch.Tensor | None, _relative: torch.Tensor | None
    ) -> torch.Tensor:
        """Return logits (B, h, w) on the first level's grid for levels (B, C_l, h_l, w_l); see `build_head`."""
        return self.similarity(levels, self.prompts)

    def similarity(self, levels: Sequence[torch.Tensor], prompts: torch.Tensor) -> torch.Tensor:
        """Return the logits with other prompts, unit rows (1 or 2, width), than the cached ones: those being learnt."""
        direction = prompts[-1] - prompts[0] if prompts.shape[0] > 1 else prompts[0]
        size = levels[0].shape[2:]
        total = torch.zeros(())
        for adapter, level in zip(self.adapters, levels, strict=True):
            unit = functional.normalize(adapter(level), dim=1)
            logits = torch.einsum("bdhw,d->bhw", unit, direction)[:, None] / TEMPERATURE
            if logits.shape[2:] != size:
                logits = functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)
            total = total + logits[:, 0]
        return total / len(self.adapters) + self.bias
