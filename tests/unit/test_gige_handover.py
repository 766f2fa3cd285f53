from __future__ import annotations

import asyncio

import numpy as np
import pytest

from ingest.sources.base import Fault, Shot
from ingest.sources.gige.handover import Handover
from shared.errors import SourceUnavailableError


def shot(number: int) -> Shot:
    """Return a whole exposure."""
    return Shot(np.zeros((1, 1), np.uint8), number, trigger=number)


async def test_an_exposure_that_overflows_is_told_without_its_picture() -> None:
    """Beyond so many waiting pictures the oldest lose theirs, keep their place and time, and are counted."""
    handover = Handover(asyncio.get_running_loop(), most_pictures=2)
    for number in range(4):
        handover.put(shot(number))
    got = [await handover.get() for _ in range(4)]
    assert [one.trigger for one in got] == [0, 1, 2, 3]
    assert [one.fault for one in got] == [Fault.OVERRUN, Fault.OVERRUN, None, None]
    assert [one.pixels is None for one in got] == [True, True, False, False]
    assert handover.counts == {"overrun": 2}


async def test_a_failure_comes_after_what_was_handed_over() -> None:
    """The error of a lost camera is raised once every shot before it was read, and stays."""
    handover = Handover(asyncio.get_running_loop(), most_pictures=2)
    handover.put(shot(1))
    handover.fail(SourceUnavailableError("camera 1 is gone"))
    assert (await handover.get()).trigger == 1
    for _ in range(2):
        with pytest.raises(SourceUnavailableError, match="camera 1 is gone"):
            await handover.get()


async def test_cancelling_loses_no_shot() -> None:
    """A reader that is cancelled while it waits takes nothing with it."""
    handover = Handover(asyncio.get_running_loop(), most_pictures=2)
    waiting = asyncio.create_task(handover.get())
    await asyncio.sleep(0)
    handover.put(shot(1))
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert (await handover.get()).trigger == 1


async def test_shots_come_from_another_thread() -> None:
    """A reader that waits is woken by a shot that a thread hands over."""
    handover = Handover(asyncio.get_running_loop(), most_pictures=2)
    waiting = asyncio.create_task(handover.get())
    await asyncio.to_thread(handover.put, shot(9))
    assert (await waiting).trigger == 9
