"""What Python looks for cycles among."""

from __future__ import annotations

import gc

from deploy.collecting import set_aside, uncollected


def test_what_is_set_aside_is_not_looked_at_again() -> None:
    """However much it is; what comes later is."""
    kept = [[index] for index in range(10_000)]
    try:
        set_aside()
        assert gc.get_freeze_count() >= len(kept)
        assert len(gc.get_objects()) < len(kept)
    finally:
        gc.unfreeze()


def test_making_records_leaves_collecting_as_it_was() -> None:
    """On or off."""
    assert gc.isenabled()
    with uncollected():
        assert not gc.isenabled()
    assert gc.isenabled()
