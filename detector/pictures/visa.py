"""The layout of VisA (Zou et al., SPot-the-difference, ECCV 2022), with its own one-class split.

    <root>/split_csv/1cls.csv          object,split,label,image,mask; the paths are relative to <root>
    <root>/<object>/Data/Images/...    what is named there

A set is `<root>/<object>`. The masks number the kinds of defects: whatever is not 0 is one.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from detector.pictures.labelled import GOOD, LabelledFile
from shared.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

MASK_ABOVE = 0
_COLUMNS = ("object", "split", "label", "image", "mask")
_NORMAL = "normal"
_DEFECT = "anomaly"


def split_file(folder: Path) -> Path:
    """Return where the split of the set `folder` is written, if it is one of VisA's."""
    return folder.absolute().parent / "split_csv" / "1cls.csv"


def list_good(folder: Path) -> list[Path]:
    """Return the good parts to train on; DataError if the split names none, or a file that is not there."""
    rows = [row for row in _rows(folder) if row["split"] == "train"]
    if not rows:
        raise DataError(f"{split_file(folder)} names no picture to train {folder.name} on", "Check the object's name.")
    return sorted(_existing(folder, row["image"]) for row in rows)


def list_test(folder: Path) -> list[LabelledFile]:
    """Return all test files, good ones first; DataError unless there are both good and defective ones."""
    files = []
    for row in _rows(folder):
        if row["split"] == "test":
            good = row["label"] == _NORMAL
            mask = _existing(folder, row["mask"]) if row["mask"] and not good else None
            files.append(LabelledFile(_existing(folder, row["image"]), GOOD if good else _DEFECT, mask))
    if len({file.defect for file in files}) < len((GOOD, _DEFECT)):
        raise DataError(f"{split_file(folder)} lacks good or defective test pictures of {folder.name}")
    return sorted(files, key=lambda file: (file.defect != GOOD, file.path))


def _rows(folder: Path) -> list[dict[str, str]]:
    path = split_file(folder)
    try:
        # Spreadsheets put a byte order mark before it.
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            if not set(_COLUMNS) <= set(reader.fieldnames or ()):
                raise DataError(f"{path} lacks one of the columns {', '.join(_COLUMNS)}", "Use VisA's own file.")
            return [row for row in reader if row["object"] == folder.absolute().name]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}", "Use VisA's own file.") from None


def _existing(folder: Path, name: str) -> Path:
    path = folder.absolute().parent / name
    if not path.is_file():
        raise DataError(f"{split_file(folder)} names {name}, which is not there", "Unpack the set again.")
    return path
