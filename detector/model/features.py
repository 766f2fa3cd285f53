"""Patch features: what the tower says of each cell of one grid over the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from detector.model.lens import Size

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from detector.model.backbone.tower import Tower
    from detector.model.lens import Lens
    from detector.model.profiles import Profile


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What the tower sees of one picture: the heads' levels (1, C_l, h_l, w_l), patches (rows, columns, D) float32."""

    levels: tuple[torch.Tensor, ...]
    patches: torch.Tensor


def see(tower: Tower, canvas: NDArray[np.float32], profile: Profile) -> Seen:
    """Return what the tower sees of its input (H, W, 3) float32; there are levels where the profile has heads."""
    stride = profile.grid_stride_px
    grid = Size(canvas.shape[0] // stride, canvas.shape[1] // stride)
    wanted = sorted({*profile.stages, *profile.head_stages})
    with torch.inference_mode():
        # The rows are already (H, W, C) in memory: the permuted view is channels-last without a copy.
        found = tower.stages(torch.from_numpy(canvas)[None].permute(0, 3, 1, 2), wanted)
        maps = dict(zip(wanted, found, strict=True))
        patches = patch_features([maps[stage] for stage in profile.stages], grid, profile.neighbourhood)[0]
    return Seen(tuple(maps[stage] for stage in profile.head_stages), patches)


def extract(tower: Tower, picture: NDArray[np.uint8], lens: Lens, profile: Profile) -> torch.Tensor:
    """Return the patch features (rows, columns, D) float32 of one picture."""
    return see(tower, lens.look(picture, profile), profile).patches


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
