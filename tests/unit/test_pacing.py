import asyncio

from ingest.sources.pacing import Pacer
from shared.clock import NS_PER_MS, ManualClock


class Metronome:
    """Takes ticks and writes down when they came, in milliseconds; `busy_s` is what each one keeps it busy."""

    def __init__(self, rate_hz: float, *busy_s: float) -> None:
        self.clock = ManualClock()
        self.ticks: list[int] = []
        self._pacer = Pacer(self.clock, rate_hz)
        self._busy_s = busy_s

    async def run(self) -> None:
        """Tick once more than it is busy."""
        for busy_s in (*self._busy_s, 0.0):
            await self._pacer.tick()
            self.ticks.append(self.clock.monotonic_ns() // NS_PER_MS)
            await self.clock.sleep(busy_s)

    async def play(self) -> list[int]:
        """Return when it ticked."""
        running = asyncio.create_task(self.run())
        await self.clock.advance(10)
        await running
        return self.ticks


async def test_ticks_keep_their_rate() -> None:
    """The first comes at once, and work between ticks does not add to the period."""
    assert await Metronome(10, 0.03, 0.0, 0.09).play() == [0, 100, 200, 300]


async def test_a_short_delay_is_caught_up() -> None:
    """Less than a period late, the cadence holds."""
    assert await Metronome(10, 0.15, 0.0).play() == [0, 150, 200]


async def test_a_long_delay_is_not_caught_up_in_a_burst() -> None:
    """After a pause it goes on from now: parts do not come faster than the line runs."""
    assert await Metronome(10, 1.05, 0.0, 0.0).play() == [0, 1_050, 1_150, 1_250]
