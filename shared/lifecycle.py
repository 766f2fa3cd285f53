"""Services that run together and stop in order: intake first, then what drains it, all under one deadline."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from shared.clock import NS_PER_S, Clock
from shared.log import get_logger

_INTERRUPTED = 130


class Service(Protocol):
    """One role at work."""

    @property
    def name(self) -> str:
        """The role's name."""
        ...

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, finish what is in hand, and return."""
        ...


async def serve(services: Sequence[Service], stop: asyncio.Event, *, drain_s: float, clock: Clock) -> None:
    """Run `services` until `stop` is set or the first of them ends by itself; then stop them one after the other.

    The first service is the one that takes work in. All of them together have `drain_s` to finish; what is not done by
    then is cancelled. An error in one cancels the others and is raised.
    """
    log = get_logger("lifecycle")
    stops = [asyncio.Event() for _ in services]
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(service.run(own), name=service.name) for service, own in zip(services, stops, strict=True)
        ]
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({stopping, tasks[0]}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
        deadline_ns = clock.monotonic_ns() + round(drain_s * NS_PER_S)
        for task, own in zip(tasks, stops, strict=True):
            own.set()
            timer = asyncio.ensure_future(clock.sleep((deadline_ns - clock.monotonic_ns()) / NS_PER_S))
            try:
                await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                timer.cancel()
            if not task.done():
                log.warning("drain.cut", service=task.get_name(), drain_s=drain_s)
                task.cancel()


@contextmanager
def stop_on_signals(stop: asyncio.Event) -> Iterator[None]:
    """Set `stop` at the first SIGINT or SIGTERM; end the process at once at the second."""
    loop = asyncio.get_running_loop()

    def handle() -> None:
        if stop.is_set():
            os._exit(_INTERRUPTED)
        get_logger("lifecycle").info("stop.requested", again="ends at once")
        stop.set()

    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, handle)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
