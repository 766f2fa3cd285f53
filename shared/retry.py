"""Do a step again and again while the bus is away, or the store is away or refuses."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import TypeVar

from shared.clock import NS_PER_S, Clock
from shared.errors import BusUnavailableError, LinewardenError, StoreError, StoreUnavailableError
from shared.log import Logger

T = TypeVar("T")
_PAUSE_S = 0.2


async def insist(step: Callable[[], Awaitable[T]], *, clock: Clock, log: Logger, what: str) -> T:
    """Return the result of `step`, repeating it while the bus or the store cannot take it, and saying so once.

    A store that refuses counts too: a full disk or memory ends, and ending the service instead would stop the line.
    Only for steps that are idempotent. It ends otherwise by cancellation alone.
    """
    away = (BusUnavailableError, StoreError)
    return await _repeated(step, away=away, within_s=math.inf, clock=clock, log=log, what=what)


async def first_answer(step: Callable[[], Awaitable[T]], *, within_s: float, clock: Clock, log: Logger, what: str) -> T:
    """Return the result of `step`, the first of a process, repeating it while the bus or the store is away.

    What is still away `within_s` seconds later may not be there at all, and what refuses needs a person: raises
    `BusUnavailableError` and `StoreUnavailableError` then, other errors at once.
    """
    away = (BusUnavailableError, StoreUnavailableError)
    return await _repeated(step, away=away, within_s=within_s, clock=clock, log=log, what=what)


async def _repeated(
    step: Callable[[], Awaitable[T]],
    *,
    away: tuple[type[LinewardenError], ...],
    within_s: float,
    clock: Clock,
    log: Logger,
    what: str,
) -> T:
    began_ns: int | None = None
    while True:
        try:
            return await step()
        except away as error:
            if began_ns is None:
                began_ns = clock.monotonic_ns()
                if within_s:
                    log.warning("step.delayed", what=what, error=str(error))
            if clock.monotonic_ns() - began_ns >= within_s * NS_PER_S:
                raise
            await clock.sleep(_PAUSE_S)
