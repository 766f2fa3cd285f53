"""A camera's highest rate: one that exposes more often, by a fault of its trigger, must not take others' time. Pure."""

from __future__ import annotations

from shared.clock import NS_PER_S


class RateLimit:
    """Admits exposures that come no faster than `max_rate_hz`, one early one excepted; with None it admits all."""

    def __init__(self, max_rate_hz: float | None) -> None:
        self._period_ns = 0 if max_rate_hz is None else round(NS_PER_S / max_rate_hz)
        self._next_ns: int | None = None

    def admits(self, now_ns: int) -> bool:
        """Return whether an exposure at this monotonic instant may be sent, and count it if so.

        Virtual scheduling, as in the generic cell rate algorithm (ITU-T I.371), with a tolerance of one period.
        """
        due_ns = now_ns if self._next_ns is None else max(self._next_ns, now_ns)
        if due_ns - now_ns > self._period_ns:
            return False
        self._next_ns = due_ns + self._period_ns
        return True
