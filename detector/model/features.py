"""Patch features: what the tower says of each cell of one grid over the canvas."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from detector.model.preprocess import Placement, Size, to_batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from detector.model.backbone import Tower
    from detector.model.profiles import Profile


def grid_for(canvas: Size, profile: Profile) -> Size:
    """Return the patch grid's size, in patches."""
    return Size(canvas.height_px // profile.grid_stride_px, canvas.width_px // profile.grid_stride_px)


def inner_cells(placement: Placement, grid: Size, profile: Profile) -> Size:
    """Return how many of the grid's rows and columns have their middle in the picture rather than in the padding."""
    half = profile.grid_stride_px // 2
    rows = (placement.content.height_px + half - 1) // profile.grid_stride_px
    columns = (placement.content.width_px + half - 1) // profile.grid_stride_px
    return Size(min(max(rows, 1), grid.height_px), min(max(columns, 1), grid.width_px))


def extract(
    tower: Tower, pictures: Sequence[NDArray[np.uint8]], canvas: Size, profile: Profile
) -> tuple[torch.Tensor, list[Placement]]:
    """Return the patch features (B, grid height, grid width, D) float32 of a batch, and where each picture lies."""
    batch, placements = to_batch(pictures, canvas, profile)
    with torch.inference_mode():
        # The rows are already (H, W, C) in memory: the permuted view is channels-last without a copy.
        maps = tower.stages(torch.from_numpy(batch).permute(0, 3, 1, 2), profile.stages)
        return patch_features(maps, grid_for(canvas, profile), profile.neighbourhood), placements


def patch_features(maps: Sequence[torch.Tensor], grid: Size, neighbourhood: int) -> torch.Tensor:
    """Return (B, grid height, grid width, D) float32 with rows of unit length from stage maps (B, C, h, w).

    Each stage is averaged over its neighbourhood (Roth et al., PatchCore, CVPR 2022, equation 2), brought to the grid
    and scaled to unit length by itself, so that every stage has the same say in the cosine of the whole row.
    """
    pad = neighbourhood // 2
    parts = []
    for stage in maps:
        pooled = stage
        if neighbourhood > 1:
            pooled = functional.avg_pool2d(stage, neighbourhood, stride=1, padding=pad, count_include_pad=False)
        if pooled.shape[2] > grid.height_px:
            pooled = functional.interpolate(pooled, size=(grid.height_px, grid.width_px), mode="area")
        elif pooled.shape[2] < grid.height_px:
            size = (grid.height_px, grid.width_px)
            pooled = functional.interpolate(pooled, size=size, mode="bilinear", align_corners=False)
        parts.append(functional.normalize(pooled, dim=1))
    rows = torch.cat(parts, dim=1) / math.sqrt(len(parts))
    return rows.permute(0, 2, 3, 1).contiguous()
