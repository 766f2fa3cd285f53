"""What is settled, put back into the order in which it was captured. Pure: time is passed in."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from shared.clock import NS_PER_S

T = TypeVar("T")

Place = tuple[int, str]
"""Where a part stands in its line: when it was captured, and its id for parts that were captured at one instant."""

_STEP_NS: Final = 60 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Released(Generic[T]):
    """An item whose turn it is; `late` says that one captured after it was released before it."""

    item: T
    late: bool


@dataclass(frozen=True, slots=True, order=True)
class _Held(Generic[T]):
    place: Place
    until_ns: int
    item: T = field(compare=False)


class CaptureOrder(Generic[T]):
    """Holds items until nothing captured earlier is open, each for `longest_ns` at most, and at most `most` of them.

    An item that has waited its longest goes alone, since its stamp may be the wrong one; of too many the earliest go.
    """

    def __init__(self, *, longest_ns: int, most: int) -> None:
        self._longest_ns = longest_ns
        self._most = most
        self._held: list[_Held[T]] = []
        self._latest: Place | None = None

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[T]:
        return (held.item for held in self._held)

    def hold(self, place: Place, item: T, now_ns: int) -> None:
        """Keep an item until its turn."""
        insort(self._held, _Held(place, now_ns + self._longest_ns, item))

    def release(self, still_open: Iterable[Place], now_ns: int) -> list[Released[T]]:
        """Return, in order, what waits for none of the places that are `still_open`, and what waits no longer."""
        if not self._held:
            return []
        first_open = min(still_open, default=None)
        too_many = len(self._held) - self._most
        going: list[_Held[T]] = []
        staying: list[_Held[T]] = []
        for index, held in enumerate(self._held):
            waits = first_open is not None and held.place > first_open
            goes = not waits or index < too_many or held.until_ns <= now_ns
            (going if goes else staying).append(held)
        self._held = staying
        return [Released(held.item, self._is_late(held.place)) for held in going]

    def _is_late(self, place: Place) -> bool:
        latest = self._latest
        late = latest is not None and place < latest
        # Much too early a stamp is a clock that was set back: measured by the old time, all that follows would be late.
        if latest is None or not late or latest[0] - place[0] > _STEP_NS + self._longest_ns:
            self._latest = place
        return late
