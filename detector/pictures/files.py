"""Picture files, as training and evaluation read them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import cv2
import numpy as np

from shared.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})


def list_pictures(folder: Path) -> list[Path]:
    """Return the folder's picture files in the order of their names; DataError if there are none."""
    found = []
    if folder.is_dir():
        found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise DataError(f"there are no pictures in {folder}", f"Put {', '.join(sorted(SUFFIXES))} files there.")
    return found


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Return a picture file as (H, W, 3) uint8 RGB; DataError names a file that cannot be read."""
    return _decode(path, cv2.IMREAD_COLOR_RGB)


def read_grey(path: Path) -> NDArray[np.uint8]:
    """Return a picture file as (H, W) uint8; DataError names a file that cannot be read."""
    return _decode(path, cv2.IMREAD_GRAYSCALE)


def write_picture(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write a picture (H, W, 3) uint8 RGB; DataError names a file whose suffix or place does not do."""
    done = False
    if path.suffix.lower() in SUFFIXES:
        done, encoded = cv2.imencode(path.suffix, picture[..., ::-1])
    if not done:
        raise DataError(f"{path} is not a picture file's name", f"End it in one of: {', '.join(sorted(SUFFIXES))}.")
    try:
        path.write_bytes(encoded.tobytes())
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}", "Give a file that can be written.") from error


def files_sha256(paths: Iterable[Path]) -> str:
    """Return one sha256 over the names and contents of files, in the order given."""
    whole = hashlib.sha256()
    for path in paths:
        whole.update(path.name.encode())
        whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


def _decode(path: Path, mode: int) -> NDArray[np.uint8]:
    try:
        blob = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}", "Check the file and its permissions.") from error
    pixels = cv2.imdecode(blob, mode) if blob.size else None
    if pixels is None:
        raise DataError(f"{path} is not a picture that can be decoded", "Remove it or export it again.")
    return np.asarray(pixels, dtype=np.uint8)
