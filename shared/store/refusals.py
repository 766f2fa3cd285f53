"""What every adapter of the store port answers to a step that it may not do."""

from __future__ import annotations

from shared.errors import ChainMovedError, LeaseLostError, ReviewFullError, StoreError


def fenced(line: str) -> LeaseLostError:
    """Say that a token does not stand."""
    return LeaseLostError(f"line {line!r} is another process' by now, or the store was emptied")


def chain_moved(line: str) -> ChainMovedError:
    """Say that another record is the chain's newest."""
    return ChainMovedError(f"the ledger of line {line!r} goes on from another record")


def too_many_cases(line: str, most: int) -> ReviewFullError:
    """Say that no case fits any more."""
    return ReviewFullError(f"the review of line {line!r} holds {most} cases", "Export them, and dismiss what is done.")


def name_taken(line: str, name: str) -> StoreError:
    """Say that a case has the name."""
    return StoreError(f"line {line!r} has a case of a part {name!r} already", "Export and dismiss that one.")
