"""Ending aiokafka's producers and consumers, which can hang or raise while their broker is away."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def ended(step: Coroutine[Any, Any, None], *, within_s: float) -> bool:
    """Run a closing step, for `within_s` at most, and return whether it ended well; it never raises of its own.

    It runs in a task of its own: aiokafka awaits tasks that it has cancelled, and so raises a CancelledError that
    would look like the cancellation of whoever closes.
    """
    task = asyncio.create_task(step)
    try:
        await asyncio.wait({task}, timeout=within_s)
    finally:
        task.cancel()
    await asyncio.wait({task}, timeout=within_s)
    return task.done() and not task.cancelled() and task.exception() is None
