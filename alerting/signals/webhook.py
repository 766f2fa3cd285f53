"""Decisions to whoever listens to HTTP: signed, tried again with growing pauses, never in anybody's way."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import random
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from shared.clock import NS_PER_S
from shared.errors import SignalError
from shared.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.clock import Clock
    from shared.domain import Decision

DEFAULT_QUEUE: Final = 1_000
DEFAULT_FIRST_PAUSE_S: Final = 0.5
DEFAULT_LONGEST_PAUSE_S: Final = 60.0
DEFAULT_TRIES: Final = 12
_TOO_EARLY_OR_BUSY: Final = frozenset({408, 425, 429})
_SUCCESS: Final = range(200, 300)
_REFUSED: Final = range(400, 500)


class Poster(Protocol):
    """Posts a body; SignalError when there was no answer."""

    async def post(self, body: bytes, headers: Mapping[str, str]) -> int:
        """Return the answer's status."""
        ...

    async def close(self) -> None:
        """Let go of the connections."""
        ...


def signature(secret: bytes, timestamp_s: int, body: bytes) -> str:
    """Return `v1=` and the HMAC-SHA256, in hex, over the time stamp in decimal, a full stop, and the body."""
    return "v1=" + hmac.new(secret, f"{timestamp_s}.".encode() + body, hashlib.sha256).hexdigest()


class Webhook:
    """Posts each decision in its order, at least once; the receiver tells repeats by `Linewarden-Delivery`.

    No answer, a status of 5xx, 408, 425 or 429 is tried again, `tries` times in all, after a pause that doubles each
    time up to `longest_pause_s`, of which a random half is left out so that many senders do not come back at once. Any
    other status ends that delivery. Beyond `queue` waiting decisions a new one is dropped, and counted.
    """

    def __init__(
        self,
        poster: Poster,
        clock: Clock,
        *,
        secret: bytes,
        queue: int = DEFAULT_QUEUE,
        tries: int = DEFAULT_TRIES,
        first_pause_s: float = DEFAULT_FIRST_PAUSE_S,
        longest_pause_s: float = DEFAULT_LONGEST_PAUSE_S,
        chance: random.Random | None = None,
    ) -> None:
        self._poster = poster
        self._clock = clock
        self._secret = secret
        self._waiting: asyncio.Queue[Decision] = asyncio.Queue(queue)
        self._tries = tries
        self._first_pause_s = first_pause_s
        self._longest_pause_s = longest_pause_s
        self._chance = chance or random.Random()  # noqa: S311 - it spreads retries, and keeps no secret
        self._draining = False
        self._log = get_logger("webhook")
        self.delivered = 0
        self.dropped = 0
        self.given_up = 0

    def offer(self, decision: Decision) -> None:
        """Queue a decision, or drop it when the queue is full."""
        try:
            self._waiting.put_nowait(decision)
        except asyncio.QueueFull:
            self.dropped += 1
            if self.dropped == 1:
                self._log.warning("webhook.full", line=decision.line, part=decision.part_id)

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            decision = await self._waiting.get()
            try:
                await self._deliver(decision)
            finally:
                self._waiting.task_done()

    async def drain(self) -> None:
        """Try what waits once more each, and let go of the connections."""
        self._draining = True
        await self._waiting.join()
        await self._poster.close()

    async def _deliver(self, decision: Decision) -> None:
        body = msgspec.json.encode({"type": "linewarden.decision.v1", "decision": decision})
        why = ""
        for turn in range(self._tries):
            if turn:
                if self._draining:
                    break
                await self._clock.sleep(self._pause_s(turn))
            try:
                status = await self._poster.post(body, self._headers(decision, body))
            except SignalError as error:
                why = error.problem
                continue
            if status in _SUCCESS:
                self.delivered += 1
                return
            why = f"status {status}"
            if status in _REFUSED and status not in _TOO_EARLY_OR_BUSY:
                break
        self.given_up += 1
        self._log.warning("webhook.given_up", line=decision.line, part=decision.part_id, why=why)

    def _headers(self, decision: Decision, body: bytes) -> dict[str, str]:
        now_s = self._clock.utc_ns() // NS_PER_S
        return {
            "Content-Type": "application/json",
            "Linewarden-Delivery": f"{decision.line}/{decision.part_id}/{decision.decided_at_ns}",
            "Linewarden-Timestamp": str(now_s),
            "Linewarden-Signature": signature(self._secret, now_s, body),
        }

    def _pause_s(self, turn: int) -> float:
        longest = min(self._longest_pause_s, self._first_pause_s * float(2 ** (turn - 1)))
        return longest * self._chance.uniform(0.5, 1.0)
