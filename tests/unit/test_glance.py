"""The patches about a place: of a whole picture's, and of the few that a sight hands out."""

from __future__ import annotations

import numpy as np

from detector.runtime.base import Glance, Seen


def seen(rows: int, columns: int) -> Seen:
    """Return patches that hold their own places."""
    places = np.arange(rows * columns, dtype=np.float32)
    return Seen((), np.stack([places, -places], axis=1).reshape(rows, columns, 2))


def glance(*places: int) -> Glance:
    """Return what is found of a picture of 4 x 5 cells whose highest are these."""
    patches = seen(4, 5).patches.reshape(-1, 2)[list(places)]
    return Glance(np.zeros((4, 5), dtype=np.float32), np.array(places, dtype=np.int32), patches)


def test_a_cell_comes_with_its_neighbours() -> None:
    """Nine inside, four in a corner; they are no view into all others."""
    whole = seen(4, 5)
    assert whole.about(1, 1)[:, 0].tolist() == [0, 1, 2, 5, 6, 7, 10, 11, 12]
    assert whole.about(3, 4)[:, 0].tolist() == [13, 14, 18, 19]
    assert not np.shares_memory(whole.about(1, 1), whole.patches)


def test_of_a_glance_those_that_there_are() -> None:
    """Neighbours in any order, not the row's end beside the next one's start; the nearest where none is a neighbour."""
    assert glance(12, 0, 6, 14, 19).about(1, 1)[:, 0].tolist() == [12, 0, 6]
    assert glance(4, 5).about(1, 0)[:, 0].tolist() == [5]
    assert glance(0, 4, 15).about(3, 3)[:, 0].tolist() == [0, 4, 15]
    assert glance(0, 4, 16).about(3, 3)[:, 0].tolist() == [16]
