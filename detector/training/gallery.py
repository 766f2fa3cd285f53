"""Which training pictures a model keeps to be shown, and how small."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from detector.model.bank import Bank
from detector.model.gallery import Gallery
from detector.pictures.files import read_picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from detector.model.view import View
    from detector.training.goods import Goods

MOST_PICTURES = 200
MOST_BYTES = 8 * 2**20
SIDE_PX = 384
_QUALITY = 80


def with_gallery(goods: Goods, views: Sequence[View]) -> tuple[Gallery, tuple[View, ...]]:
    """Return the pictures that a product's model keeps, and its views with banks that name them by their numbers.

    Of too many those go of which the first view's bank holds the fewest patches: they say the least that others do not.
    """
    counts = np.zeros(len(goods.paths), dtype=np.int64)
    if views[0].bank.sources is not None:
        counts += np.bincount(views[0].bank.sources, minlength=len(goods.paths))
    wanted = np.argsort(-counts, kind="stable")[:MOST_PICTURES].tolist()
    jpegs: dict[int, bytes] = {}
    held = 0
    for picture in wanted:
        jpeg = small_jpeg(read_picture(goods.paths[picture]))
        if held + len(jpeg) > MOST_BYTES:
            break
        jpegs[picture] = jpeg
        held += len(jpeg)
    kept = sorted(jpegs)
    names = tuple(goods.paths[picture].name for picture in kept)
    gallery = Gallery(names, tuple(jpegs[picture] for picture in kept), len(goods.paths))
    numbers = np.full(len(goods.paths), -1, dtype=np.int32)
    numbers[kept] = np.arange(len(kept), dtype=np.int32)
    return gallery, tuple(replace(view, bank=_renamed(view.bank, numbers)) for view in views)


def small_jpeg(picture: NDArray[np.uint8]) -> bytes:
    """Return a picture (H, W, 3) uint8 RGB as a JPEG of at most 384 pixels a side."""
    scale = min(1.0, SIDE_PX / max(picture.shape[:2]))
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    done, encoded = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise AssertionError("encoding an 8-bit picture as JPEG cannot fail")
    return encoded.tobytes()


def _renamed(bank: Bank, numbers: NDArray[np.int32]) -> Bank:
    return Bank(bank.rows, None if bank.sources is None else numbers[bank.sources])
