"""Which deeds of operators count, of all that a line's record holds. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

import msgspec

from shared.alerts import Deed, Handling, What

MOST_DEEDS: Final = 500
"""So many are kept of a line as what counts: of more the oldest go, and those alerts are open again."""
DEED: Final = msgspec.msgpack.Decoder(Deed)
Name = TypeVar("Name", str, bytes)


def name_of(deed: Deed) -> str:
    """Return what a deed stands under: another of that name takes its place."""
    return f"{deed.what.value}:{deed.key}"


def counts(deed: Deed) -> bool:
    """Return whether a deed counts from now on; else it ends what it is about."""
    return deed.what is not What.SHELVED or deed.until_ns > deed.at_ns


def over(before: Mapping[Name, bytes], new: Deed, name: Name) -> list[Name]:
    """Return the names that count no more now that `new` is done: shelves whose time is over, the oldest of many.

    What cannot be read goes first.
    """
    gone, done_ns = [], {}
    for other, value in before.items():
        if other == name:
            continue
        try:
            deed = DEED.decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            done_ns[other] = 0
            continue
        if deed.what is What.SHELVED and deed.until_ns <= new.at_ns:
            gone.append(other)
        else:
            done_ns[other] = deed.at_ns
    oldest = sorted(done_ns, key=lambda other: done_ns[other])
    return gone + oldest[: max(0, len(oldest) + 1 - MOST_DEEDS)]


def handling_of(deeds: Iterable[Deed]) -> Handling:
    """Return the newest acknowledgement and shelf of each alert."""
    kept = list(deeds)
    return Handling(
        acknowledged={deed.key: deed for deed in kept if deed.what is What.ACKNOWLEDGED},
        shelved={deed.key: deed for deed in kept if deed.what is What.SHELVED},
    )
