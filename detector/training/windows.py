"""Windows of items, as large as each other: what a head learns from, several side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from detector.training.pool import Item

# Of a window's cells on the coarsest level: 192 pixels of the tower's picture at a stride of 16.
WINDOW_CELLS = 12
# So often a window of a spoilt picture is laid over the defect, else anywhere.
_OVER_DEFECT = 0.75
_FAIR = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What a head takes, and the truth: `mask` and `inside` (B, h, w) float32, 1 where defective, where picture is."""

    levels: tuple[torch.Tensor, ...]
    difference: torch.Tensor
    relative: torch.Tensor
    mask: torch.Tensor
    inside: torch.Tensor


def draw_windows(items: Sequence[Item], rng: np.random.Generator) -> Batch:
    """Return a window of each item, all mirrored left to right half of the time.

    A picture smaller than the window is continued by its last row and column. All maps' sides are whole multiples of
    the coarsest level's.
    """
    drawn = [_window(item, rng) for item in items]
    mirror = bool(rng.random() < _FAIR)
    levels = [_side_by_side([one.levels[index] for one in drawn], mirror) for index in range(len(drawn[0].levels))]
    return Batch(
        tuple(levels),
        _side_by_side([one.difference for one in drawn], mirror),
        _side_by_side([one.relative for one in drawn], mirror),
        _side_by_side([one.mask for one in drawn], mirror),
        _side_by_side([one.inside for one in drawn], mirror),
    )


def whole(item: Item) -> Batch:
    """Return the item as a batch of one, uncut."""
    mask = item.mask[None].float()
    return Batch(
        tuple(level[None].float() for level in item.levels),
        item.difference[None].float(),
        item.relative[None].float(),
        mask,
        torch.ones_like(mask),
    )


def _window(item: Item, rng: np.random.Generator) -> Batch:
    rows, columns = item.levels[-1].shape[1:]
    height, width = min(rows, WINDOW_CELLS), min(columns, WINDOW_CELLS)
    top, left = int(rng.integers(rows - height + 1)), int(rng.integers(columns - width + 1))
    if item.mask.any() and rng.random() < _OVER_DEFECT:
        spots = torch.nonzero(item.mask)
        row, column = (int(place) for place in spots[int(rng.integers(len(spots)))])
        cells = item.mask.shape[0] // rows
        top = min(max(row // cells - int(rng.integers(height)), 0), rows - height)
        left = min(max(column // cells - int(rng.integers(width)), 0), columns - width)

    def cut(values: torch.Tensor) -> torch.Tensor:
        cells = values.shape[-1] // columns
        part = values[..., top * cells : (top + height) * cells, left * cells : (left + width) * cells]
        return part.float()[None]

    def filled(values: torch.Tensor) -> torch.Tensor:
        cells = values.shape[-1] // columns
        part = cut(values)
        room = (0, WINDOW_CELLS * cells - part.shape[-1], 0, WINDOW_CELLS * cells - part.shape[-2])
        return functional.pad(part, room, mode="replicate")

    mask = cut(item.mask)
    room = WINDOW_CELLS * item.mask.shape[1] // columns
    rest = (0, room - mask.shape[2], 0, room - mask.shape[1])
    return Batch(
        tuple(filled(level) for level in item.levels),
        filled(item.difference),
        # Padding by repetition wants channels.
        filled(item.relative[None])[:, 0],
        functional.pad(mask, rest),
        functional.pad(torch.ones_like(mask), rest),
    )


def _side_by_side(parts: Sequence[torch.Tensor], mirror: bool) -> torch.Tensor:
    maps = torch.cat(list(parts))
    return maps.flip(-1) if mirror else maps
