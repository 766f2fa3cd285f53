"""A fixed cadence for sources that are not live."""

from __future__ import annotations

from shared.clock import NS_PER_S, Clock


class Pacer:
    """Ticks `rate_hz` times a second; after a delay it goes on from now instead of catching up in a burst."""

    def __init__(self, clock: Clock, rate_hz: float) -> None:
        self._clock = clock
        self._period_ns = round(NS_PER_S / rate_hz)
        self._next_ns: int | None = None

    async def tick(self) -> None:
        """Return at the next tick; the first is at once."""
        now_ns = self._clock.monotonic_ns()
        if self._next_ns is None or now_ns - self._next_ns > self._period_ns:
            self._next_ns = now_ns
        await self._clock.sleep((self._next_ns - now_ns) / NS_PER_S)
        self._next_ns += self._period_ns
