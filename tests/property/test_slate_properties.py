"""What holds for any slate under any picture."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingest.slate import HEIGHT_PX, Slate, draw_slate, read_slate
from shared.errors import PictureError


@given(st.integers(64, 2_000), st.integers(0, 0xFFFFFF), st.booleans(), st.integers(1, 8))
def test_any_number_is_read_at_any_width(width_px: int, number: int, defect: bool, height_px: int) -> None:
    """From 64 pixels on, what was drawn is what is read."""
    pixels = np.full((height_px, width_px, 3), 90, dtype=np.uint8)
    found, slate = read_slate(draw_slate(pixels, Slate(number, defect)))
    assert slate == Slate(number, defect)
    assert np.array_equal(found, pixels)


@given(st.integers(0, 0xFFFFFF), st.sets(st.integers(0, 34), min_size=1, max_size=2))
def test_no_one_or_two_wrong_cells_go_unnoticed(number: int, cells: set[int]) -> None:
    """The check bits find every double error."""
    drawn = draw_slate(np.zeros((4, 350, 3), dtype=np.uint8), Slate(number, defect=False))
    for cell in cells:
        drawn[-HEIGHT_PX:, cell * 10 : cell * 10 + 10] ^= 0xFF
    try:
        read_slate(drawn)
    except PictureError:
        return
    raise AssertionError("a wrong number was read")
