"""Labelled pictures, one at a time, whatever the layout of the set they come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from detector.pictures.files import read_grey, read_picture
from shared.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

GOOD = "good"


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """A test picture's file, what is wrong with the part (`good` if nothing), and its mask's file if there is one."""

    path: Path
    defect: str
    mask_path: Path | None


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A picture (H, W, 3) uint8 RGB, and where it is defective, (H, W) bool; None where nobody marked it."""

    file: LabelledFile
    picture: NDArray[np.uint8]
    mask: NDArray[np.bool_] | None


def read_samples(files: Sequence[LabelledFile], mask_above: int) -> Iterator[Sample]:
    """Yield the samples one by one; the mask of a good part is empty, any other is where its file is > `mask_above`."""
    for file in files:
        picture = read_picture(file.path)
        yield Sample(file, picture, _read_mask(file, picture, mask_above))


def resize_mask(mask: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return a mask at another (height, width): the nearest pixel, above one half."""
    if mask.shape == shape:
        return mask
    small = cv2.resize(mask.astype(np.uint8), (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST)
    return np.asarray(small, dtype=np.uint8) > 0


def _read_mask(file: LabelledFile, picture: NDArray[np.uint8], mask_above: int) -> NDArray[np.bool_] | None:
    if file.defect == GOOD:
        return np.zeros(picture.shape[:2], dtype=np.bool_)
    if file.mask_path is None:
        return None
    mask = read_grey(file.mask_path) > mask_above
    if mask.shape != picture.shape[:2]:
        raise DataError(f"{file.mask_path} is {mask.shape}, its picture {picture.shape[:2]}", "Export it again.")
    return mask
