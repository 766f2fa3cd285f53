"""A set of pictures by its folder, whichever layout it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.pictures import mvtec, visa
from detector.pictures.labelled import read_samples

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from detector.pictures.labelled import LabelledFile, Sample


def list_good(folder: Path) -> list[Path]:
    """Return the set's good pictures to train on, in the order of their names; DataError says what is lacking."""
    return visa.list_good(folder) if _is_visa(folder) else mvtec.list_good(folder)


def list_test(folder: Path) -> list[LabelledFile]:
    """Return the set's test files, good ones first; DataError says what is lacking."""
    return visa.list_test(folder) if _is_visa(folder) else mvtec.list_test(folder)


def read_test(folder: Path) -> Iterator[Sample]:
    """Yield the set's labelled pictures one by one, good ones first."""
    above = visa.MASK_ABOVE if _is_visa(folder) else mvtec.MASK_ABOVE
    yield from read_samples(list_test(folder), above)


def _is_visa(folder: Path) -> bool:
    return not (folder / "train").is_dir() and visa.split_file(folder).is_file()
