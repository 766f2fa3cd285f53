"""Spoilt and good pictures as a refiner sees them: made once, learnt from several times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch.nn import functional

from detector.model.expected import fitted
from detector.model.features import see
from detector.pictures.files import read_picture
from detector.training.synthesis.base import Canvas
from detector.training.synthesis.foreground import find_foreground
from detector.training.synthesis.synthesise import synthesise

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from detector.model.backbone.tower import Tower
    from detector.model.bank import Bank
    from detector.model.lens import Lens
    from detector.model.profiles import Profile
    from detector.training.goods import Goods

# A cell of the finest level is defective if so much of it is.
_DEFECTIVE_SHARE = 0.35
# Pictures of 256 x 256 pixels are the measure of how many fit into memory and time.
_MEASURE_PX = 256
_FEWEST = 128


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One picture, number `picture` of the good ones, spoilt where `mask` (h, w) bool says so.

    `levels` are (C_l, h_l, w_l), `difference` (D, rows, columns) and `relative` (rows, columns), all float16: against a
    bank that has not seen the picture, over what is usual in all of them.
    """

    picture: int
    levels: tuple[torch.Tensor, ...]
    difference: torch.Tensor
    relative: torch.Tensor
    mask: torch.Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """What turns a picture into an item: the banks of the folds, each picture's fold, and what is usual."""

    tower: Tower
    goods: Goods
    lens: Lens
    settings: Profile
    banks: Sequence[Bank]
    fold_of: NDArray[np.int64]
    expected: NDArray[np.float32]

    def item(self, picture: int, small: NDArray[np.uint8], mask: NDArray[np.bool_]) -> Item:
        """Return the item of a picture at its size in the tower's eyes, (H, W, 3) uint8, spoilt or not."""
        seen = see(self.tower, self.lens.tune(small, self.settings), self.settings)
        with torch.inference_mode():
            distances, differences = self.banks[int(self.fold_of[picture])].differences(seen.patches)
        rows, columns = distances.shape
        relative = distances / torch.from_numpy(fitted(self.expected, (rows, columns)))
        size = (seen.levels[0].shape[3], seen.levels[0].shape[2])
        share = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        return Item(
            picture,
            tuple(level[0].half() for level in seen.levels),
            differences.permute(2, 0, 1).half(),
            relative.half(),
            torch.from_numpy(share > _DEFECTIVE_SHARE),
        )


def good_items(bench: Bench, on_done: Callable[[int], None]) -> list[Item]:
    """Return one item for each good picture as it is."""
    items = []
    for index, path in enumerate(bench.goods.paths):
        small = bench.lens.shrink(read_picture(path))
        items.append(bench.item(index, small, np.zeros(small.shape[:2], dtype=np.bool_)))
        on_done(index + 1)
    return items


def spoilt_items(bench: Bench, seed: int, on_done: Callable[[int, int], None]) -> list[Item]:
    """Return spoilt items, each good picture in turn: as many as the profile says, fewer of larger pictures."""
    count = max(_FEWEST, round(bench.settings.refine_pictures * (_MEASURE_PX / bench.lens.side_px) ** 2))
    rng = np.random.default_rng(seed)
    total = len(bench.goods.paths)
    order = np.concatenate([rng.permutation(total) for _ in range(count // total + 1)])[:count]
    items = []
    for done, index in enumerate(order.tolist(), start=1):
        small = bench.lens.shrink(read_picture(bench.goods.paths[index]))
        other = bench.lens.shrink(read_picture(bench.goods.paths[int(rng.integers(total))]))
        made = synthesise(Canvas(small, find_foreground(small), [other]), rng)
        items.append(bench.item(index, made.picture, made.mask))
        on_done(done, count)
    return items


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Items side by side, float32, the smaller ones continued by their last row and column; `inside` tells them."""

    levels: tuple[torch.Tensor, ...]
    difference: torch.Tensor
    relative: torch.Tensor
    mask: torch.Tensor
    inside: torch.Tensor


def collate(items: Sequence[Item], *, mirror: bool) -> Batch:
    """Return the items as one batch, mirrored left to right if asked."""
    levels = tuple(
        _stack([item.levels[index] for item in items], mirror=mirror) for index in range(len(items[0].levels))
    )
    mask = _stack([item.mask[None].float() for item in items], mirror=mirror)[:, 0]
    inside = torch.zeros_like(mask)
    for row, item in zip(inside, items, strict=True):
        row[: item.mask.shape[0], : item.mask.shape[1]] = 1.0
    return Batch(
        levels,
        _stack([item.difference for item in items], mirror=mirror),
        _stack([item.relative[None] for item in items], mirror=mirror)[:, 0],
        mask * inside,
        inside,
    )


def _stack(maps: Sequence[torch.Tensor], *, mirror: bool) -> torch.Tensor:
    height = max(part.shape[1] for part in maps)
    width = max(part.shape[2] for part in maps)
    padded = []
    for part in maps:
        turned = part.flip(2) if mirror else part
        room = (0, width - part.shape[2], 0, height - part.shape[1])
        padded.append(functional.pad(turned[None].float(), room, mode="replicate")[0])
    return torch.stack(padded)
