"""How long somebody who guesses passwords has to wait: longer each time, by user and by address. Pure."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from shared.clock import NS_PER_S

FREE: Final = 4
"""So many wrong passwords cost nothing: people mistype."""
LONGEST_S: Final = 300
_FORGOTTEN_NS: Final = 3_600 * NS_PER_S
_MOST: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Tries:
    failed: int
    last_ns: int


class LoginGuard:
    """Counts failures of keys such as `user:anna` and `address:10.0.0.7`; of too many keys the oldest are forgotten."""

    def __init__(self) -> None:
        self._tries: OrderedDict[str, _Tries] = OrderedDict()

    def wait_s(self, keys: tuple[str, ...], now_ns: int) -> float:
        """Return how many seconds are left before another try is looked at; 0 for none."""
        return max((self._left_s(key, now_ns) for key in keys), default=0.0)

    def failed(self, keys: tuple[str, ...], now_ns: int) -> None:
        """Take note of a failure."""
        for key in keys:
            before = self._known(key, now_ns)
            self._tries[key] = _Tries(1 if before is None else before.failed + 1, now_ns)
            self._tries.move_to_end(key)
        while len(self._tries) > _MOST:
            self._tries.popitem(last=False)

    def succeeded(self, keys: tuple[str, ...]) -> None:
        """Take back the last failure of each key, which was counted before it was known to be none.

        Earlier ones stay for their time: a guesser may have a login of their own to clear an address with.
        """
        for key in keys:
            known = self._tries.get(key)
            if known is not None:
                self._tries[key] = _Tries(known.failed - 1, known.last_ns)
                if known.failed <= 1:
                    del self._tries[key]

    def _left_s(self, key: str, now_ns: int) -> float:
        known = self._known(key, now_ns)
        if known is None or known.failed < FREE:
            return 0.0
        wait_s: int = min(LONGEST_S, 2 ** min(known.failed - FREE, 20))
        return max(0.0, wait_s - (now_ns - known.last_ns) / NS_PER_S)

    def _known(self, key: str, now_ns: int) -> _Tries | None:
        known = self._tries.get(key)
        return None if known is None or now_ns - known.last_ns > _FORGOTTEN_NS else known
