"""Labelled pictures in the MVTec-AD layout, one at a time.

    <folder>/test/good/*               good parts
    <folder>/test/<defect>/NNN.*       defective parts
    <folder>/ground_truth/<defect>/    NNN_mask.png (or NNN.*), non-zero where the defect is

A set without any `ground_truth` gives no masks; a set with it must have one for every defective picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from detector.training.pictures import SUFFIXES, list_pictures, read_grey, read_picture
from shared.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

GOOD = "good"
_HALF = 127


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


def list_test_files(folder: Path) -> list[LabelledFile]:
    """Return all test files, good ones first; DataError unless there are both good and defective ones."""
    test = folder / "test"
    names = sorted(path.name for path in test.iterdir() if path.is_dir()) if test.is_dir() else []
    defects = [name for name in names if name != GOOD]
    if GOOD not in names or not defects:
        raise DataError(f"{test} lacks good or defective parts", f"It needs {GOOD}/ and a folder for each defect.")
    files = [LabelledFile(path, GOOD, None) for path in list_pictures(test / GOOD)]
    truth = folder / "ground_truth"
    for defect in defects:
        masks = truth / defect if truth.is_dir() else None
        files += [
            LabelledFile(path, defect, _mask_for(path, masks) if masks else None)
            for path in list_pictures(test / defect)
        ]
    return files


def read_samples(files: list[LabelledFile]) -> Iterator[Sample]:
    """Yield the samples one by one; the mask of a good part is empty."""
    for file in files:
        picture = read_picture(file.path)
        yield Sample(file, picture, _read_mask(file, picture))


def resize_mask(mask: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return a mask at another (height, width): the nearest pixel, above one half."""
    if mask.shape == shape:
        return mask
    small = cv2.resize(mask.astype(np.uint8), (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST)
    return np.asarray(small, dtype=np.uint8) > 0


def _mask_for(picture: Path, folder: Path) -> Path:
    marked = folder / f"{picture.stem}_mask.png"
    if marked.is_file():
        return marked
    for path in sorted(folder.glob("*")):
        if path.stem == picture.stem and path.suffix.lower() in SUFFIXES:
            return path
    raise DataError(f"{picture} has no mask in {folder}", f"Add {picture.stem}_mask.png.")


def _read_mask(file: LabelledFile, picture: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
    if file.defect == GOOD:
        return np.zeros(picture.shape[:2], dtype=np.bool_)
    if file.mask_path is None:
        return None
    mask = read_grey(file.mask_path) > _HALF
    if mask.shape != picture.shape[:2]:
        raise DataError(f"{file.mask_path} is {mask.shape}, its picture {picture.shape[:2]}", "Export it again.")
    return mask
