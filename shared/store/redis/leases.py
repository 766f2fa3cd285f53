"""The leases' part of the store on Redis, and what a store that lost its data takes in again.

Keys, for each line: `lease` (hash: holder, token, beat). It has no time to live: Redis would end it by its wall clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

from shared.ledger.chain import LedgerRecord, pack
from shared.store.base import LeaseRecord
from shared.store.counting import counts_of, latency_bucket
from shared.store.reading import DECISION
from shared.store.refusals import fenced
from shared.store.settings import StoreSettings

FENCED: Final = -2
"""What the scripts answer to a token that does not stand."""


class RedisLeases:
    """What `RedisStore` does about leases and lost data."""

    _client: Any
    _settings: StoreSettings
    _restore: Any
    _move_lease: Any

    async def lease(self, line: str) -> LeaseRecord | None:
        """Return the record."""
        with self._mapped():
            holder, token, beat = await self._client.hmget(self._key(line, "lease"), "holder", "token", "beat")
        return None if token is None else LeaseRecord((holder or b"").decode(), int(token), int(beat or 0))

    async def move_lease(self, line: str, to: LeaseRecord, *, instead_of: LeaseRecord | None) -> bool:
        """Compare and set."""
        stands: tuple[int | str, ...] = ("", "", "")
        if instead_of is not None:
            stands = (instead_of.holder, instead_of.token, instead_of.beat)
        with self._mapped():
            args = [to.holder, to.token, to.beat, *stands]
            return bool(await self._move_lease(keys=[self._key(line, "lease")], args=args))

    async def restore(self, records: Sequence[LedgerRecord], *, token: int | None = None) -> int:
        """Send all in one go; each is done by itself."""
        if not records:
            return 0
        with self._mapped():
            async with self._client.pipeline(transaction=False) as step:
                for record in records:
                    await self._restore_one(step, record, token)
                done = [int(answer) for answer in await step.execute()]
        if FENCED in done:
            raise fenced(DECISION.decode(records[0].decision).line)
        return sum(done)

    async def _restore_one(self, step: Any, record: LedgerRecord, token: int | None) -> None:  # noqa: ANN401 - untyped
        decision = DECISION.decode(record.decision)
        bucket = latency_bucket(decision)
        line = decision.line
        keys = [
            self._key(line, "part", decision.part_id),
            *(self._key(line, name) for name in ("counters", "decisions", "latency")),
            self._prefixed("lines"),
            self._key(line, "lease"),
        ]
        args = [
            record.decision,
            self._settings.part_retention_s,
            self._settings.stream_length,
            "" if bucket is None else bucket,
            b"" if record.link is None else pack(record.link),
            decision.decide_by_ns,
            token_text(token),
            line,
            *self._shift_args(line, decision.captured_at_ns),
            *counts_of(decision),
        ]
        await self._restore(keys=keys, args=args, client=step)

    def _mapped(self) -> AbstractContextManager[None]:
        raise NotImplementedError

    def _key(self, line: str, *parts: str) -> str:
        raise NotImplementedError

    def _prefixed(self, *parts: str) -> str:
        raise NotImplementedError

    def _shift_args(self, line: str, captured_at_ns: int) -> tuple[str, str, int]:
        raise NotImplementedError


def token_text(token: int | None) -> str:
    """Return a token as the scripts take it: nothing for an effect that needs none."""
    return "" if token is None else str(token)
