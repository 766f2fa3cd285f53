"""Patch features: what the tower says of each cell of one grid over the picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.model.backbone.tower import Tower
    from detector.model.profiles import Profile


def levels_and_patches(
    tower: Tower, batch: torch.Tensor, profile: Profile
) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
    """Return the heads' levels, each (B, C_l, h_l, w_l), and the patches, (B, rows, columns, D), of (B, H, W, 3)."""
    stride = profile.grid_stride_px
    grid = (batch.shape[1] // stride, batch.shape[2] // stride)
    wanted = sorted({*profile.stages, *profile.head_stages})
    # The rows are already (H, W, C) in memory: the permuted view is channels-last without a copy.
    maps = dict(zip(wanted, tower.stages(batch.permute(0, 3, 1, 2), wanted), strict=True))
    patches = patch_features([maps[stage] for stage in profile.stages], grid, profile.neighbourhood)
    return tuple(maps[stage] for stage in profile.head_stages), patches


def patch_features(maps: Sequence[torch.Tensor], grid: tuple[int, int], neighbourhood: int) -> torch.Tensor:
    """Return (B, rows, columns, D) float32 of unit length, on a `grid` (rows, columns), from stage maps (B, C, h, w).

    Each stage is averaged over its neighbourhood (Roth et al., PatchCore, CVPR 2022, equation 2), brought to the grid
    and scaled to unit length by itself, so that every stage has the same say in the cosine of the whole row.
    """
    pad = neighbourhood // 2
    parts = []
    for stage in maps:
        pooled = stage
        if neighbourhood > 1:
            pooled = functional.avg_pool2d(stage, neighbourhood, stride=1, padding=pad, count_include_pad=False)
        if pooled.shape[2] > grid[0]:
            pooled = functional.interpolate(pooled, size=grid, mode="area")
        elif pooled.shape[2] < grid[0]:
            pooled = functional.interpolate(pooled, size=grid, mode="bilinear", align_corners=False)
        parts.append(functional.normalize(pooled, dim=1))
    rows = torch.cat(parts, dim=1) / math.sqrt(len(parts))
    return rows.permute(0, 2, 3, 1).contiguous()
