"""A token bucket. Pure: time is passed in."""

from __future__ import annotations

from typing import Final

_MINUTE_NS: Final = 60_000_000_000


class TokenBucket:
    """Gives `most_a_minute` at once, and then one each time that a minute's share has passed."""

    def __init__(self, most_a_minute: int) -> None:
        self._most = most_a_minute
        self._tokens = float(most_a_minute)
        self._at_ns: int | None = None

    def take(self, now_ns: int) -> bool:
        """Take one, if there is one; a clock that was set back gives none."""
        if self._at_ns is not None:
            gained = max(0, now_ns - self._at_ns) * self._most / _MINUTE_NS
            self._tokens = min(self._most, self._tokens + gained)
        self._at_ns = now_ns
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
