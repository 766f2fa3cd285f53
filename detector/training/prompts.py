"""Prompts while they are being learnt: through a frozen text tower, or as free vectors where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from detector.model.backbone.text import TextTower

_START_DEVIATION = 0.02


class TextPrompts(nn.Module):
    """[start][V_1 ... V_n][object][end] through the text tower, with learnable V: abnormal alone, or normal first.

    Zhou et al., CoOp, IJCV 2022: the context starts as noise of the token embeddings' own size.
    """

    def __init__(self, text: TextTower, word: str, *, context_length: int, count: int) -> None:
        super().__init__()
        self._text = text
        self._word = word
        self.contexts = nn.Parameter(_START_DEVIATION * torch.randn(count, context_length, text.width))

    def forward(self) -> torch.Tensor:
        """Return the prompts, unit rows (count, D) float32."""
        return torch.stack([self._text.encode(context, self._word) for context in self.contexts])


class FreePrompts(nn.Module):
    """Directions in the joint space, learnt directly: what stands in for prompts where no text tower was trained."""

    def __init__(self, width: int, *, count: int) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.randn(count, width))

    def forward(self) -> torch.Tensor:
        """Return the prompts, unit rows (count, width) float32."""
        return functional.normalize(self.rows, dim=1)
