"""What is made for those keys alone that come often, beside whoever asks, who goes on with something slower."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from shared.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

K = TypeVar("K", bound="Hashable")
V = TypeVar("V")

OFTEN: Final = 3
"""From so often on a key gets a thing of its own."""
_KEPT: Final = 8
_COUNTED: Final = 1024
# One that had to go is not made again at once: more keys than are kept would be made without end.
_NOT_AT_ONCE: Final = 1_000


@lru_cache(maxsize=1)
def _maker() -> ThreadPoolExecutor:
    """Return the process's one maker: what is being made shares the cores with what is being inspected."""
    return ThreadPoolExecutor(1, thread_name_prefix="compile")


class Often(Generic[K, V]):
    """Things made by `make`, a few at a time: the one that was not asked for the longest goes first.

    One that went is made again once it was asked for a thousand times. What cannot be made is logged, and not tried
    again while its key is remembered. Any thread may ask.
    """

    def __init__(self, make: Callable[[K], V], *, kept: int = _KEPT) -> None:
        self._make = make
        self._kept = kept
        self._asked: Counter[K] = Counter()
        self._made: OrderedDict[K, V] = OrderedDict()
        self._under_way: dict[K, Future[None]] = {}
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        """Return the key's thing; None while it has none."""
        with self._lock:
            if key in self._made:
                self._made.move_to_end(key)
                return self._made[key]
            if key in self._under_way:
                return None
            if len(self._asked) >= _COUNTED:
                self._asked.clear()
            self._asked[key] += 1
            if self._asked[key] == OFTEN:
                self._under_way[key] = _maker().submit(self._put, key)
            return None

    def settle(self) -> None:
        """Wait until everything that was begun is there."""
        with self._lock:
            begun = list(self._under_way.values())
        wait(begun)

    def _put(self, key: K) -> None:
        made: V | None = None
        try:
            made = self._make(key)
        except Exception as error:  # noqa: BLE001 - the slower way is there, and serves
            get_logger("engines").warning("engine.not_made", of=str(key), problem=str(error))
        with self._lock:
            del self._under_way[key]
            if made is None:
                return
            self._made[key] = made
            if len(self._made) > self._kept:
                gone, _ = self._made.popitem(last=False)
                self._asked[gone] = OFTEN - _NOT_AT_ONCE
