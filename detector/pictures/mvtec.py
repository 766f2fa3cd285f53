"""The layout of MVTec-AD (Bergmann et al., CVPR 2019), which plain folders of one's own can follow.

    <folder>/train/good/*              good parts to train on
    <folder>/test/good/*               good parts to measure on
    <folder>/test/<defect>/NNN.*       defective parts
    <folder>/ground_truth/<defect>/    NNN_mask.png (or NNN.*), above one half where the defect is

A set without any `ground_truth` gives no masks; a set with it must have one for every defective picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.pictures.files import SUFFIXES, list_pictures
from detector.pictures.labelled import GOOD, LabelledFile
from shared.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

MASK_ABOVE = 127


def list_good(folder: Path) -> list[Path]:
    """Return the good parts to train on; DataError if there are none."""
    return list_pictures(folder / "train" / GOOD)


def list_test(folder: Path) -> list[LabelledFile]:
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


def _mask_for(picture: Path, folder: Path) -> Path:
    marked = folder / f"{picture.stem}_mask.png"
    if marked.is_file():
        return marked
    for path in sorted(folder.glob("*")):
        if path.stem == picture.stem and path.suffix.lower() in SUFFIXES:
            return path
    raise DataError(f"{picture} has no mask in {folder}", f"Add {picture.stem}_mask.png.")
