"""Spoilt and good pictures as a head sees them: made once, learnt from several times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from detector.model.expected import fitted
from detector.model.head_shape import REFINER
from detector.pictures.files import read_picture
from detector.training.synthesis.base import Canvas
from detector.training.synthesis.foreground import find_foreground
from detector.training.synthesis.synthesise import synthesise

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from detector.model.profiles import Profile
    from detector.runtime.base import Engine
    from detector.training.reference import Reference

HALVES = 2
# A cell of the finest level is defective if so much of it is.
_DEFECTIVE_SHARE = 0.35
_THIN_SHARE = 0.75
# A relative distance beyond this tells nothing more, and must fit into half precision.
_FARTHEST = 1e3
# Pictures of 256 x 256 pixels are the measure of how many fit into memory and time.
_MEASURE_PX = 256
_FEWEST = 48
# The good pictures' items of all products; those of a few hundred at 512 x 512 take a third of it.
_MOST_GOOD_BYTES = 3 * 2**30


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One picture of one half of the good ones, spoilt where `mask` (h, w) bool says so.

    `levels` are (C_l, h_l, w_l), `difference` (D, rows, columns) and `relative` (rows, columns), all float16: against a
    bank that has not seen the picture, over what is usual in all of them. Without a refiner, which alone reads it,
    `difference` has one channel.
    """

    half: int
    levels: tuple[torch.Tensor, ...]
    difference: torch.Tensor
    relative: torch.Tensor
    mask: torch.Tensor

    @property
    def size_bytes(self) -> int:
        """How much memory its tensors take."""
        return sum(part.numel() * part.element_size() for part in (*self.levels, self.difference, self.relative))


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """What turns a product's pictures into items."""

    engine: Engine
    reference: Reference
    settings: Profile

    @property
    def name(self) -> str:
        """The product's name."""
        return self.reference.goods.product

    def small(self, picture: int) -> NDArray[np.uint8]:
        """Return good picture number `picture` at its size in the tower's eyes, (H, W, 3) uint8."""
        small = self.reference.views[0].lens.shrink(read_picture(self.reference.goods.paths[picture]))
        return np.asarray(small, dtype=np.uint8)

    def item(self, picture: int, small: NDArray[np.uint8], mask: NDArray[np.bool_]) -> Item:
        """Return the item of a picture that `small` gave, spoilt or not."""
        view = self.reference.views[0]
        folded = self.reference.folded
        (seen,) = self.engine.see([view.lens.tune(small, self.settings)])
        distances, differences = folded.banks[int(folded.fold_of[picture])].differences(seen.patches)
        relative = distances / fitted(view.expected, (distances.shape[0], distances.shape[1]))
        size = (seen.levels[0].shape[2], seen.levels[0].shape[1])
        unlike = torch.from_numpy(differences if REFINER in self.settings.heads else differences[..., :1])
        return Item(
            half_of(picture, len(self.reference.goods.paths)),
            tuple(torch.from_numpy(level).half() for level in seen.levels),
            unlike.permute(2, 0, 1).half(),
            torch.from_numpy(relative).clamp(max=_FARTHEST).half(),
            torch.from_numpy(cells_of(mask, size)),
        )


def cells_of(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which cells of a grid of `size`, (w, h), are defective, (h, w) bool: where the mask covers enough of it.

    A defect too thin to cover so much of any cell marks those that it covers most of: it is not to be learnt as good.
    """
    share = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    enough = min(_DEFECTIVE_SHARE, _THIN_SHARE * float(share.max()))
    return np.asarray((share > 0) & (share >= enough), dtype=np.bool_)


def half_of(picture: int, pictures: int) -> int:
    """Return in which half a picture is: neighbours in the order of names stay together, as in the folds."""
    return int(picture * HALVES >= pictures)


def good_items(bench: Bench, products: int, on_done: Callable[[int, int], None]) -> dict[int, Item]:
    """Return items of good pictures as they are, by their numbers: all, or as many as memory takes, evenly spread."""
    total = len(bench.reference.goods.paths)
    items = {0: good_item(bench, 0)}
    most = min(total, max(_FEWEST, _MOST_GOOD_BYTES // (products * items[0].size_bytes)))
    for index in np.linspace(0, total - 1, most).round().astype(int).tolist():
        if index not in items:
            items[index] = good_item(bench, index)
        on_done(len(items), most)
    return items


def good_item(bench: Bench, picture: int) -> Item:
    """Return the item of good picture number `picture` as it is."""
    small = bench.small(picture)
    return bench.item(picture, small, np.zeros(small.shape[:2], dtype=np.bool_))


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
        # Its texture comes from the same half: to the heads that judge the other half, nothing of it is a defect.
        fellows = [fellow for fellow in range(total) if half_of(fellow, total) == half_of(index, total)]
        other = bench.small(fellows[int(rng.integers(len(fellows)))])
        made = synthesise(Canvas(small, find_foreground(small), [other]), rng)
        items.append(bench.item(index, made.picture, made.mask))
        on_done(done, count)
    return items
