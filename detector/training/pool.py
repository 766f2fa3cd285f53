"""Spoilt and good pictures as a head sees them: made once, learnt from several times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from detector.model.expected import fitted
from detector.model.features import see
from detector.pictures.files import read_picture
from detector.training.synthesis.base import Canvas
from detector.training.synthesis.foreground import find_foreground
from detector.training.synthesis.synthesise import synthesise

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from detector.model.backbone.tower import Tower
    from detector.model.profiles import Profile
    from detector.training.reference import Reference

HALVES = 2
# A cell of the finest level is defective if so much of it is.
_DEFECTIVE_SHARE = 0.35
# Pictures of 256 x 256 pixels are the measure of how many fit into memory and time.
_MEASURE_PX = 256
_FEWEST = 48


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One picture of one half of the good ones, spoilt where `mask` (h, w) bool says so.

    `levels` are (C_l, h_l, w_l), `difference` (D, rows, columns) and `relative` (rows, columns), all float16: against a
    bank that has not seen the picture, over what is usual in all of them.
    """

    half: int
    levels: tuple[torch.Tensor, ...]
    difference: torch.Tensor
    relative: torch.Tensor
    mask: torch.Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """What turns a product's pictures into items."""

    tower: Tower
    reference: Reference
    settings: Profile

    @property
    def name(self) -> str:
        """The product's name."""
        return self.reference.goods.product

    def small(self, picture: int) -> NDArray[np.uint8]:
        """Return good picture number `picture` at its size in the tower's eyes, (H, W, 3) uint8."""
        return self.reference.views[0].lens.shrink(read_picture(self.reference.goods.paths[picture]))

    def item(self, picture: int, small: NDArray[np.uint8], mask: NDArray[np.bool_]) -> Item:
        """Return the item of a picture that `small` gave, spoilt or not."""
        view = self.reference.views[0]
        folded = self.reference.folded
        seen = see(self.tower, view.lens.tune(small, self.settings), self.settings)
        with torch.inference_mode():
            distances, differences = folded.banks[int(folded.fold_of[picture])].differences(seen.patches)
        rows, columns = distances.shape
        relative = distances / torch.from_numpy(fitted(view.expected, (rows, columns)))
        size = (seen.levels[0].shape[3], seen.levels[0].shape[2])
        share = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        return Item(
            half_of(picture, len(self.reference.goods.paths)),
            tuple(level[0].half() for level in seen.levels),
            differences.permute(2, 0, 1).half(),
            relative.half(),
            torch.from_numpy(share > _DEFECTIVE_SHARE),
        )


def half_of(picture: int, pictures: int) -> int:
    """Return in which half a picture is: neighbours in the order of names stay together, as in the folds."""
    return int(picture * HALVES >= pictures)


def good_items(bench: Bench, on_done: Callable[[int, int], None]) -> list[Item]:
    """Return one item for each good picture as it is, in their order."""
    items = []
    total = len(bench.reference.goods.paths)
    for index in range(total):
        small = bench.small(index)
        items.append(bench.item(index, small, np.zeros(small.shape[:2], dtype=np.bool_)))
        on_done(index + 1, total)
    return items


def spoilt_items(bench: Bench, products: int, seed: int, on_done: Callable[[int, int], None]) -> list[Item]:
    """Return spoilt items, each good picture in turn: as many as the profile says, fewer of larger pictures.

    Several products share the memory: together they have up to twice as many as one.
    """
    scale = (_MEASURE_PX / bench.reference.views[0].lens.side_px) ** 2 * 2 / (1 + products)
    count = max(_FEWEST, round(bench.settings.head_pictures * scale))
    rng = np.random.default_rng(seed)
    total = len(bench.reference.goods.paths)
    order = np.concatenate([rng.permutation(total) for _ in range(count // total + 1)])[:count]
    items = []
    for done, index in enumerate(order.tolist(), start=1):
        small = bench.small(index)
        other = bench.small(int(rng.integers(total)))
        made = synthesise(Canvas(small, find_foreground(small), [other]), rng)
        items.append(bench.item(index, made.picture, made.mask))
        on_done(done, count)
    return items
