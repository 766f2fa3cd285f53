import asyncio
import os
import signal

import pytest

from shared.clock import ManualClock
from shared.lifecycle import serve, stop_on_signals
from tests.lines import eventually


class Worker:
    """A service that needs `drain_s` to finish once it is told to stop, and writes down what happens."""

    def __init__(self, name: str, clock: ManualClock, diary: list[str], *, drain_s: float = 0.0) -> None:
        self.name = name
        self._clock = clock
        self._diary = diary
        self._drain_s = drain_s

    async def run(self, stop: asyncio.Event) -> None:
        """Work."""
        try:
            await self.work(stop)
            await self._clock.sleep(self._drain_s)
            self._diary.append(f"{self.name} done at {self._clock.monotonic_ns() / 1e9:g}")
        except asyncio.CancelledError:
            self._diary.append(f"{self.name} cut at {self._clock.monotonic_ns() / 1e9:g}")
            raise

    async def work(self, stop: asyncio.Event) -> None:
        """Wait for the stop."""
        await stop.wait()


class Player(Worker):
    """A service that ends by itself after a second."""

    async def work(self, stop: asyncio.Event) -> None:  # noqa: ARG002 - the base's signature
        """Play to the end."""
        await self._clock.sleep(1)


class Failing(Worker):
    """A service that fails after a second."""

    async def work(self, stop: asyncio.Event) -> None:  # noqa: ARG002
        """Fail."""
        await self._clock.sleep(1)
        raise RuntimeError(self.name)


async def test_services_stop_one_after_the_other() -> None:
    """Intake first; each next one is told only when the one before it has finished."""
    clock, diary, stop = ManualClock(), list[str](), asyncio.Event()
    services = [Worker(name, clock, diary, drain_s=1) for name in ("ingest", "detector", "alerting")]
    serving = asyncio.create_task(serve(services, stop, drain_s=5, clock=clock))
    await clock.advance(1)
    stop.set()
    await clock.advance(10)
    await serving
    assert diary == ["ingest done at 2", "detector done at 3", "alerting done at 4"]


async def test_the_end_of_intake_stops_the_others() -> None:
    """A source that has played to its end ends the run."""
    clock, diary = ManualClock(), list[str]()
    services = [Player("ingest", clock, diary), Worker("alerting", clock, diary, drain_s=1)]
    serving = asyncio.create_task(serve(services, asyncio.Event(), drain_s=5, clock=clock))
    await clock.advance(3)
    await serving
    assert diary == ["ingest done at 1", "alerting done at 2"]


async def test_the_drain_deadline_is_one_for_all() -> None:
    """A service that hangs uses the time up; those behind it are told, and cut."""
    clock, diary, stop = ManualClock(), list[str](), asyncio.Event()
    services = [Worker("ingest", clock, diary, drain_s=60), Worker("alerting", clock, diary, drain_s=1)]
    serving = asyncio.create_task(serve(services, stop, drain_s=5, clock=clock))
    stop.set()
    await clock.advance(4.9)
    assert diary == []
    await clock.advance(0.2)
    await serving
    assert diary == ["ingest cut at 5", "alerting cut at 5"]


@pytest.mark.parametrize("index", [0, 1])
async def test_an_error_in_one_service_cancels_the_others(index: int) -> None:
    """The error comes out, and nobody is left running."""
    clock, diary = ManualClock(), list[str]()
    services: list[Worker] = [Worker("well", clock, diary)]
    services.insert(index, Failing("ill", clock, diary))
    serving = asyncio.create_task(serve(services, asyncio.Event(), drain_s=5, clock=clock))
    await clock.advance(2)
    with pytest.raises(ExceptionGroup) as raised:
        await serving
    assert [str(error) for error in raised.value.exceptions] == ["ill"]
    assert diary == ["well cut at 1"]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_cancelling_a_drain_leaves_nothing_running() -> None:
    """Whoever runs the services may give up on the drain as well."""
    clock, diary, stop = ManualClock(), list[str](), asyncio.Event()
    serving = asyncio.create_task(serve([Worker("a", clock, diary, drain_s=60)], stop, drain_s=50, clock=clock))
    stop.set()
    await clock.advance(1)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    await clock.advance(0)
    assert diary == ["a cut at 1"]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_signal_asks_for_a_stop() -> None:
    """The first SIGTERM stops in order; the handler is gone afterwards."""
    stop = asyncio.Event()
    with stop_on_signals(stop):
        os.kill(os.getpid(), signal.SIGTERM)
        await eventually(stop.is_set)
    assert not asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
