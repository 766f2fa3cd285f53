"""Folders of pictures: what to play, in which order, and what is known of each."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from shared.domain import Picture
from shared.errors import DataError, PictureError

_JPEG_START: Final = b"\xff\xd8"
_JPEG_SCAN: Final = b"\xff\xda"
_JPEG_END: Final = b"\xff\xd9"
SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})


@dataclass(frozen=True, slots=True)
class PictureFile:
    """A picture and its ground truth, where the folder tells it."""

    path: Path
    label: str | None


def find_pictures(folder: Path, *, seed: int = 0) -> list[PictureFile]:
    """Return the pictures of a folder in a seeded, mixed order.

    In the MVTec-AD layout (`test/good`, `test/<defect>`) the test pictures are played with their labels; any other
    folder is played whole, in the order of its file names, without labels. Raises `DataError` when there is none.
    """
    if not folder.is_dir():
        raise DataError(f"picture folder {str(folder)!r} does not exist", "Give a folder with pictures.")
    test = folder / "test"
    if test.is_dir():
        found = [PictureFile(path, path.parent.name) for path in sorted(test.glob("*/*")) if _is_picture(path)]
        random.Random(seed).shuffle(found)  # noqa: S311 - an order of play, no secret
    else:
        found = [PictureFile(path, None) for path in sorted(folder.rglob("*")) if _is_picture(path)]
    if not found:
        raise DataError(f"folder {str(folder)!r} has no pictures", f"Pictures end in {', '.join(sorted(SUFFIXES))}.")
    return found


def read_picture(path: Path) -> Picture:
    """Return a picture file in colour, as deep as it is; raises `PictureError` when it cannot be decoded."""
    try:
        data = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise PictureError(f"picture {path.name!r} cannot be read: {error.strerror}") from error
    try:
        decoded = (
            cv2.imdecode(data, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_ANYDEPTH)
            if data.size and not _is_cut(data.tobytes())
            else None
        )
    except cv2.error as error:
        raise PictureError(f"picture {path.name!r} is refused: {error}") from error
    if decoded is None:
        raise PictureError(f"picture {path.name!r} cannot be decoded")
    if decoded.dtype == np.uint8:
        return np.asarray(decoded, dtype=np.uint8)
    if decoded.dtype != np.uint16:
        raise PictureError(f"picture {path.name!r} has pixels of type {decoded.dtype}, neither 8 nor 16 bits")
    return np.asarray(decoded, dtype=np.uint16)


def _is_cut(data: bytes) -> bool:
    """Return whether a JPEG file has no end behind its last scan: some decoders fill such a picture with grey."""
    return data.startswith(_JPEG_START) and data.find(_JPEG_END, max(0, data.rfind(_JPEG_SCAN))) < 0


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file()
