"""Cancellations that a library lost."""

from __future__ import annotations

import asyncio

import pytest

from shared.cancellation import cancellation_kept


async def _lost(error: Exception | None) -> None:
    """Lose a cancellation, as `asyncio.wait_for` does before Python 3.12 when the answer comes at the same time."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        if error is not None:
            raise error from None


@pytest.mark.parametrize("error", [None, ConnectionError("away")])
async def test_a_lost_cancellation_is_raised_after_the_block(error: Exception | None) -> None:
    """The task ends as cancelled, whether the block returned or raised something else."""
    after = []

    async def wait() -> None:
        with cancellation_kept():
            await _lost(error)
        after.append("went on")

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not after


async def test_without_a_cancellation_the_block_says_what_it_says() -> None:
    """Errors pass, and nothing is raised without one."""
    with cancellation_kept():
        await asyncio.sleep(0)
    with pytest.raises(ConnectionError), cancellation_kept():
        raise ConnectionError


async def test_a_timeout_that_was_handled_is_no_cancellation() -> None:
    """A limit that ends inside the block leaves its task running."""
    with cancellation_kept(), pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await asyncio.Event().wait()
