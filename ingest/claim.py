"""Large frames by claim check: the payload into the store first, then a reference to it onto the bus."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from isal.isal_zlib import crc32

from shared.bus.base import Publication
from shared.clock import NS_PER_S, Clock
from shared.domain import Capture
from shared.errors import StoreUnavailableError
from shared.log import Logger
from shared.store.base import PayloadStore
from shared.turns import Turns
from shared.wire import FrameMessage, PayloadReference, encode

MOST_BYTES: Final = 512 * 1024 * 1024
"""What Redis takes as one value."""
_AT_ONCE: Final = 4
_MARGIN_S: Final = 5


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """A frame that is ready to go: its message and, where that is but a reference, the `payload` to deposit first."""

    publication: Publication
    payload: bytes | None = None

    @property
    def size_bytes(self) -> int:
        """Return what both hold."""
        return len(self.publication.value) + len(self.payload or b"")


@dataclass(frozen=True, slots=True, eq=False)
class Deposit:
    """A payload, and whose it is."""

    capture: Capture
    payload: bytes


def pack(
    message: FrameMessage,
    payload: bytes | memoryview,
    *,
    by_reference_from: int | None,
    publication: Callable[[bytes], Publication],
) -> Packed:
    """Return the frame with its payload in the message, or beside it from `by_reference_from` bytes on (None: never).

    `publication` makes one of the message's bytes.
    """
    if by_reference_from is None or len(payload) < by_reference_from:
        return Packed(publication(encode(message, payload)))
    reference = PayloadReference(len(payload), crc32(payload))
    # It outlives the picture that it may be a view of.
    return Packed(publication(encode(replace(message, reference=reference))), bytes(payload))


def life_s(capture: Capture, utc_ns: int) -> int:
    """Return how long a payload is kept: until nobody can use it any more, whole seconds, and some for skewed clocks.

    A clock step makes it neither longer than the line's own time for a decision nor shorter than the margin.
    """
    left_ns = min(capture.decide_by_ns - utc_ns, capture.decide_by_ns - capture.captured_at_ns)
    return max(0, math.ceil(left_ns / NS_PER_S)) + _MARGIN_S


class Deposits:
    """Puts payloads into the store, for all cameras of a process: a few at a time, one at a time while it is away."""

    def __init__(self, payloads: PayloadStore, clock: Clock, log: Logger) -> None:
        self._payloads = payloads
        self._clock = clock
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._turns = Turns(self._put, away=StoreUnavailableError, what="payloads", clock=clock, log=log)

    async def put(self, wanted: Callable[[], Deposit | None]) -> None:
        """Put once what is `wanted` when it is this caller's turn, if anything is; the errors of the store."""
        async with self._at_once:
            await self._turns.take(wanted)

    async def _put(self, deposit: Deposit) -> None:
        ttl_s = life_s(deposit.capture, self._clock.utc_ns())
        await self._payloads.put_payload(deposit.capture.id, deposit.payload, ttl_s=ttl_s)
