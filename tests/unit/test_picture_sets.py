"""VisA's own split, read from a small copy of its layout."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from detector.pictures.sets import list_good, list_test, read_test
from shared.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "object,split,label,image,mask\n"


def write_visa(root: Path, rows: str | None = None) -> Path:
    """Write two training pictures, one good and one bad test picture of `candle`, and one of another object."""
    images = root / "candle" / "Data" / "Images"
    masks = root / "candle" / "Data" / "Masks" / "Anomaly"
    for folder in (images / "Normal", images / "Anomaly", masks, root / "split_csv"):
        folder.mkdir(parents=True)
    for name in ("Normal/0.JPG", "Normal/1.JPG", "Normal/2.JPG", "Anomaly/0.JPG"):
        cv2.imwrite(str(images / name), np.full((16, 24, 3), 90, dtype=np.uint8))
    mask = np.zeros((16, 24), dtype=np.uint8)
    mask[2:5, 3:9] = 3
    cv2.imwrite(str(masks / "0.png"), mask)
    split = HEADER + (
        rows
        or "candle,train,normal,candle/Data/Images/Normal/1.JPG,\n"
        "candle,train,normal,candle/Data/Images/Normal/0.JPG,\n"
        "candle,test,anomaly,candle/Data/Images/Anomaly/0.JPG,candle/Data/Masks/Anomaly/0.png\n"
        "candle,test,normal,candle/Data/Images/Normal/2.JPG,\n"
        "capsules,train,normal,capsules/Data/Images/Normal/0.JPG,\n"
    )
    (root / "split_csv" / "1cls.csv").write_text(split, encoding="utf-8")
    return root / "candle"


def test_visa_is_read_by_its_own_split(tmp_path: Path) -> None:
    """Training and test pictures are those that the split names for this object, good ones first."""
    folder = write_visa(tmp_path)
    assert [path.name for path in list_good(folder)] == ["0.JPG", "1.JPG"]
    assert [(file.path.name, file.defect) for file in list_test(folder)] == [("2.JPG", "good"), ("0.JPG", "anomaly")]


def test_visas_masks_number_defects_from_one(tmp_path: Path) -> None:
    """A mask of threes marks a defect, though three is far below half of 255."""
    good, bad = read_test(write_visa(tmp_path))
    assert good.mask is not None
    assert bad.mask is not None
    assert (int(good.mask.sum()), int(bad.mask.sum())) == (0, 18)


def test_a_picture_that_the_split_names_and_is_not_there_is_named(tmp_path: Path) -> None:
    """An unfinished download is found before training starts."""
    folder = write_visa(tmp_path, "candle,train,normal,candle/Data/Images/Normal/7.JPG,\n")
    with pytest.raises(DataError, match=r"7\.JPG, which is not there"):
        list_good(folder)


def test_a_split_without_the_object_is_refused(tmp_path: Path) -> None:
    """A misspelt object is no empty set."""
    folder = write_visa(tmp_path, "capsules,train,normal,x,\n")
    with pytest.raises(DataError, match="names no picture to train candle on"):
        list_good(folder)
    with pytest.raises(DataError, match="lacks good or defective"):
        list_test(folder)


def test_a_split_that_a_spreadsheet_saved_is_read_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    """A byte order mark is passed over, a short row has no mask, and bytes that are no text are refused."""
    folder = write_visa(tmp_path, "candle,train,normal,candle/Data/Images/Normal/0.JPG\n")
    split = tmp_path / "split_csv" / "1cls.csv"
    split.write_bytes(b"\xef\xbb\xbf" + split.read_bytes())
    assert [path.name for path in list_good(folder)] == ["0.JPG"]
    split.write_bytes(b"object,split,label,image,mask\n\xff\xfe,,,,\n")
    with pytest.raises(DataError, match=r"1cls\.csv cannot be read"):
        list_good(folder)


def test_a_split_with_other_columns_is_refused(tmp_path: Path) -> None:
    """The split must be VisA's own file."""
    folder = write_visa(tmp_path)
    (tmp_path / "split_csv" / "1cls.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(DataError, match="lacks one of the columns"):
        list_good(folder)
