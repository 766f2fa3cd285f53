"""The whole of tower, pooling and patch rows as one torch module, which other engines' converters take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from detector.model.features import levels_and_patches

if TYPE_CHECKING:
    from detector.model.backbone.tower import Tower
    from detector.model.profiles import Profile

_TRACED_PX = 256


class Graph(nn.Module):
    """Canvases (B, H, W, 3) float32 to the heads' levels, (B, C_l, h_l, w_l), and patches (B, rows, columns, D)."""

    def __init__(self, tower: Tower, settings: Profile) -> None:
        super().__init__()
        self.visual = tower.visual
        self._tower = tower
        self._settings = settings

    def forward(self, canvases: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the levels, and the patches last."""
        levels, patches = levels_and_patches(self._tower, canvases, self._settings)
        return (*levels, patches)


def example(settings: Profile) -> torch.Tensor:
    """Return a canvas of a size that the tower takes, (1, H, W, 3) float32, to trace the graph with."""
    canvas = settings.canvas
    height, width = (canvas.height_px, canvas.width_px) if canvas else (_TRACED_PX, _TRACED_PX + settings.multiple_px)
    return torch.zeros(1, height, width, 3)
