"""A picture in the terminal: two pixels to a character, by their colours."""

from __future__ import annotations

import cv2
import numpy as np
from rich.style import Style
from rich.text import Text

from shared.depth import in_eight_bits
from shared.domain import Picture

_UPPER_HALF = "\u2580"


def in_terminal(picture: Picture, *, columns: int, rows: int) -> Text:
    """Return a picture as text of at most so many columns and rows, its aspect kept."""
    height, width = picture.shape[:2]
    scale = min(columns / width, 2 * rows / height)
    size = (max(1, round(width * scale)), max(2, round(height * scale / 2) * 2))
    small = cv2.resize(in_eight_bits(picture), size, interpolation=cv2.INTER_AREA)
    if small.ndim == 2:  # noqa: PLR2004 - grey
        small = np.repeat(small[:, :, None], 3, axis=2)
    text = Text(no_wrap=True)
    for upper, lower in zip(small[0::2], small[1::2], strict=True):
        for above, below in zip(upper.tolist(), lower.tolist(), strict=True):
            text.append(_UPPER_HALF, Style(color=_hex(above), bgcolor=_hex(below)))
        text.append("\n")
    return text


def _hex(colour: list[int]) -> str:
    return "#" + "".join(f"{int(value):02x}" for value in colour)
