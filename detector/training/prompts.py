"""Prompts while they are being learnt: through a frozen text tower, or as free vectors where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.model.backbone.text import TextTower
    from detector.model.prompt_map import PromptMap

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


class PromptLearner(nn.Module):
    """A prompt map whose prompts are still being learnt; `settle` caches them, and the text tower is needed no more."""

    def __init__(self, head: PromptMap, prompts: TextPrompts | FreePrompts) -> None:
        super().__init__()
        self.head = head
        self.prompts = prompts

    def forward(
        self, levels: Sequence[torch.Tensor], _difference: torch.Tensor | None, _relative: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the logits with the prompts as they are now; see `build_head`."""
        return self.head.similarity(levels, self.prompts())

    def settle(self) -> PromptMap:
        """Return the prompt map with the prompts' vectors cached in it."""
        with torch.no_grad():
            self.head.prompts = cast("torch.Tensor", self.prompts()).detach().clone()
        return self.head
