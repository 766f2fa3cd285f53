"""Do a step again and again while the bus is away, or the store is away or refuses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from shared.clock import Clock
from shared.errors import BusUnavailableError, StoreError
from shared.log import Logger

T = TypeVar("T")
_PAUSE_S = 0.2


async def insist(step: Callable[[], Awaitable[T]], *, clock: Clock, log: Logger, what: str) -> T:
    """Return the result of `step`, repeating it while the bus or the store cannot take it, and saying so once.

    A store that refuses counts too: a full disk or memory ends, and ending the service instead would stop the line.
    Only for steps that are idempotent. It ends otherwise by cancellation alone.
    """
    warned = False
    while True:
        try:
            return await step()
        except (BusUnavailableError, StoreError) as error:
            if not warned:
                log.warning("step.delayed", what=what, error=str(error))
                warned = True
            await clock.sleep(_PAUSE_S)
