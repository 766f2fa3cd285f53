import asyncio

import pytest
import structlog

from shared.clock import ManualClock
from shared.errors import BusUnavailableError, LinewardenError, MessageTooLargeError, StoreError, StoreUnavailableError
from shared.log import get_logger
from shared.retry import first_answer, insist


class FlakyStep:
    """Fails with each of `errors` in turn, then succeeds."""

    def __init__(self, *errors: LinewardenError) -> None:
        self._errors = list(errors)
        self.calls = 0

    async def __call__(self) -> str:
        """Fail or succeed."""
        self.calls += 1
        if self._errors:
            raise self._errors.pop(0)
        return "done"


async def test_a_step_is_repeated_until_it_succeeds() -> None:
    """An outage of bus or store, and a store that refuses, are waited out at five tries a second; it is said once."""
    clock = ManualClock()
    step = FlakyStep(BusUnavailableError("away"), StoreUnavailableError("away"), StoreError("disk full"))
    with structlog.testing.capture_logs() as logged:
        insisting = asyncio.create_task(insist(step, clock=clock, log=get_logger("test"), what="publish"))
        await clock.advance(0.59)
        assert (step.calls, insisting.done()) == (3, False)
        await clock.advance(0.01)
    assert insisting.result() == "done"
    assert [(entry["event"], entry["what"]) for entry in logged] == [("step.delayed", "publish")]


async def test_an_error_that_stays_is_raised() -> None:
    """A message that is too large never becomes smaller."""
    step = FlakyStep(MessageTooLargeError("8 MiB"))
    with pytest.raises(MessageTooLargeError):
        await insist(step, clock=ManualClock(), log=get_logger("test"), what="publish")
    assert step.calls == 1


async def test_a_cancellation_ends_it() -> None:
    """Stopping does not wait for an outage to end."""
    clock = ManualClock()
    step = FlakyStep(*[BusUnavailableError("away")] * 100)
    insisting = asyncio.create_task(insist(step, clock=clock, log=get_logger("test"), what="publish"))
    await clock.advance(1)
    insisting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await insisting


async def test_a_start_waits_for_what_comes_up_beside_it() -> None:
    """Where power comes back, broker and store need their time, too; it is said once."""
    clock = ManualClock()
    step = FlakyStep(*[BusUnavailableError("away")] * 5, *[StoreUnavailableError("away")] * 5)
    with structlog.testing.capture_logs() as logged:
        starting = asyncio.create_task(
            first_answer(step, within_s=60, clock=clock, log=get_logger("test"), what="start")
        )
        await clock.advance(2)
    assert starting.result() == "done"
    assert [(entry["event"], entry["what"]) for entry in logged] == [("step.delayed", "start")]


async def test_a_start_does_not_wait_for_ever() -> None:
    """An address with a slip of the pen is told with its remedy, and ends the process."""
    clock = ManualClock()
    step = FlakyStep(*[BusUnavailableError("away")] * 1_000)
    starting = asyncio.create_task(first_answer(step, within_s=60, clock=clock, log=get_logger("test"), what="start"))
    await clock.advance(59.9)
    assert not starting.done()
    await clock.advance(0.2)
    with pytest.raises(BusUnavailableError):
        await starting


@pytest.mark.parametrize("error", [StoreError("refuses the login"), MessageTooLargeError("8 MiB")])
async def test_a_start_waits_for_nothing_that_refuses(error: LinewardenError) -> None:
    """A wrong password does not become right."""
    with pytest.raises(type(error)):
        await first_answer(FlakyStep(error), within_s=60, clock=ManualClock(), log=get_logger("test"), what="start")


async def test_without_patience_a_start_says_nothing_but_its_error() -> None:
    """A command that a person waits for."""
    step = FlakyStep(BusUnavailableError("away"))
    with structlog.testing.capture_logs() as logged, pytest.raises(BusUnavailableError):
        await first_answer(step, within_s=0, clock=ManualClock(), log=get_logger("test"), what="start")
    assert (step.calls, logged) == (1, [])
