"""The store on Redis: its connection, its errors, and each step on a part, payload or kept value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import msgspec
import redis.asyncio
from redis import exceptions as redis_errors
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from shared.cancellation import cancellation_kept
from shared.domain import CaptureId, Decision, PartAnnouncement
from shared.errors import ConfigError, StoreError, StoreUnavailableError, WireError
from shared.latency import bucket_of
from shared.ledger.chain import LedgerRecord, Link, decision_bytes, pack, unpack
from shared.redaction import redact, redact_address
from shared.store.base import PartRecord
from shared.store.counting import counts_of
from shared.store.reading import DECISION, Teller
from shared.store.redis import room_scripts, scripts
from shared.store.redis.alerts import RedisAlerts
from shared.store.redis.counts import RedisCounts
from shared.store.redis.evidence import RedisEvidence
from shared.store.redis.held import RedisHeld
from shared.store.redis.leases import FENCED, RedisLeases, token_text
from shared.store.redis.pictures import RedisPictures
from shared.store.redis.readers import RedisReaders
from shared.store.redis.reviews import RedisReviews
from shared.store.refusals import chain_moved, fenced
from shared.store.settings import StoreSettings

_TIMEOUT_S = 2.0
_CONNECTIONS = 50
_MOVED = -1
_PIECE_BYTES = 1024 * 1024
_FORBIDDEN = (
    redis_errors.AuthenticationError,
    redis_errors.AuthenticationWrongNumberOfArgsError,
    redis_errors.AuthorizationError,
    redis_errors.NoPermissionError,
)
# A server that is full, loading, a replica for a moment, or without a leader takes the same command later.
_TRANSIENT = (
    redis_errors.ClusterDownError,
    redis_errors.OutOfMemoryError,
    redis_errors.ReadOnlyError,
    redis_errors.TryAgainError,
)
_REFUSED = (
    redis_errors.DataError,
    redis_errors.InvalidPipelineStack,
    redis_errors.CrossSlotTransactionError,
    redis_errors.PubSubError,
    redis_errors.ResponseError,
)


def map_error(error: BaseException, address: str) -> StoreError:
    """Return our error for one of redis-py's."""
    text = redact(f"{type(error).__name__}: {error}")
    if isinstance(error, _FORBIDDEN):
        return StoreError(f"Redis at {address} refuses the login ({text})", "Correct user and password.")
    # MISCONF has no class of its own: Redis cannot write to its disk, and refuses writes until it can.
    if isinstance(error, _TRANSIENT) or str(error).startswith("MISCONF"):
        return StoreUnavailableError(f"Redis at {address} takes no writes now ({text})", "Give it memory and disk.")
    if isinstance(error, _REFUSED):
        return StoreError(f"Redis at {address} refused a command ({text})", "Use Redis 7 or newer, not a cluster.")
    return StoreUnavailableError(f"Redis at {address} does not answer ({text})", "Start it, or correct store.url.")


class RedisStore(
    RedisAlerts, RedisCounts, RedisEvidence, RedisHeld, RedisLeases, RedisPictures, RedisReaders, RedisReviews
):
    """The live state of lines in Redis."""

    def __init__(self, client: redis.asyncio.Redis, settings: StoreSettings, address: str) -> None:
        """Serve `client`."""
        # redis-py types every reply as bytes or text or None; with decode_responses off they are bytes.
        self._client: Any = client
        self._settings = settings
        self._address = address
        self._teller = Teller()
        self._announce = client.register_script(scripts.ANNOUNCE)
        self._claim = client.register_script(scripts.CLAIM)
        self._settle = client.register_script(scripts.SETTLE)
        self._published = client.register_script(scripts.PUBLISHED)
        self._put_picture = client.register_script(room_scripts.PUT_PICTURE)
        self._put_evidence = client.register_script(room_scripts.PUT_EVIDENCE)
        self._put_case = client.register_script(room_scripts.PUT_CASE)
        self._move_case = client.register_script(room_scripts.MOVE_CASE)
        self._drop_case = client.register_script(room_scripts.DROP_CASE)
        self._handle_alert = client.register_script(scripts.HANDLE_ALERT)
        self._behind = client.register_script(scripts.BEHIND)
        self._keep = client.register_script(scripts.KEEP)
        self._extend = client.register_script(scripts.EXTEND)
        self._restore = client.register_script(scripts.RESTORE)
        self._move_lease = client.register_script(scripts.LEASE)

    @classmethod
    def from_url(cls, url: str, settings: StoreSettings) -> Self:
        """Connect lazily to `redis://` or `rediss://`."""
        if not url.startswith(("redis://", "rediss://", "unix://")):
            raise ConfigError(f"store address {redact_address(url)!r} is not redis://HOST:PORT/DB or memory://")
        # Once more at once, for a connection that a restart has cut. By default redis-py tries a frozen server eleven
        # times, which takes longer than any gate waits.
        retry = Retry(NoBackoff(), 1, supported_errors=(redis_errors.ConnectionError,))
        try:
            # Its other pool refuses whoever comes when all of its 100 connections are taken; here they wait.
            pool = redis.asyncio.BlockingConnectionPool.from_url(
                url,
                max_connections=_CONNECTIONS,
                timeout=_TIMEOUT_S,
                protocol=2,
                socket_timeout=_TIMEOUT_S,
                socket_connect_timeout=_TIMEOUT_S,
                retry=retry,
            )
        except ValueError:
            raise ConfigError(
                f"store address {redact_address(url)!r} cannot be read", "Write it as redis://HOST:PORT/DB."
            ) from None
        return cls(redis.asyncio.Redis.from_pool(pool), settings, redact_address(url))

    async def ping(self) -> None:
        """Return if Redis answers."""
        with self._mapped():
            await self._client.ping()

    async def announce(self, part: PartAnnouncement) -> PartRecord:
        """Count the part once."""
        keys = [self._part(part.line, part.part_id), self._key(part.line, "counters"), self._prefixed("lines")]
        shift = self._shift_args(part.line, part.captured_at_ns)
        args: list[int | str] = [self._settings.part_retention_s, part.line, part.decide_by_ns, *shift]
        with self._mapped():
            claim, settled, published = await self._announce(keys=keys, args=args)
        return PartRecord(
            claimed=DECISION.decode(claim) if claim else None, settled=bool(settled), published=bool(published)
        )

    async def claim(self, decision: Decision, *, token: int | None = None) -> Decision:
        """Fix the decision unless one stands."""
        keys = [self._part(decision.line, decision.part_id), self._key(decision.line, "lease")]
        args: list[bytes | int | str] = [
            msgspec.msgpack.encode(decision),
            self._settings.part_retention_s,
            token_text(token),
        ]
        with self._mapped():
            first = await self._claim(keys=keys, args=args)
        if first is None:
            raise fenced(decision.line)
        return DECISION.decode(first)

    async def settle(
        self,
        decision: Decision,
        *,
        latency_ms: float | None,
        unconfirmed: bool = False,
        link: Link | None = None,
        instead_of: Link | None = None,
        token: int | None = None,
    ) -> bool:
        """Record the outcome once."""
        keys = [
            self._part(decision.line, decision.part_id),
            *(self._key(decision.line, name) for name in ("counters", "decisions", "latency", "ledger", "lease")),
        ]
        counts = [*counts_of(decision), *(["unconfirmed"] if unconfirmed else [])]
        bucket: int | str = "" if latency_ms is None else bucket_of(latency_ms)
        args: list[bytes | int | str] = [
            decision_bytes(decision),
            self._settings.part_retention_s,
            self._settings.stream_length,
            bucket,
            pack(link) if link else b"",
            pack(instead_of) if instead_of else b"",
            token_text(token),
            *self._shift_args(decision.line, decision.captured_at_ns),
            *counts,
        ]
        with self._mapped():
            done = int(await self._settle(keys=keys, args=args))
        if done == FENCED:
            raise fenced(decision.line)
        if done == _MOVED:
            raise chain_moved(decision.line)
        return bool(done)

    async def ledger_head(self, line: str) -> LedgerRecord | None:
        """Return the newest record."""
        with self._mapped():
            link, decision = await self._client.hmget(self._key(line, "ledger"), "link", "decision")
        return self._record(decision, link) if link else None

    async def ledger_record(self, line: str, part_id: str) -> LedgerRecord | None:
        """Return what was settled; without a link for what an older version settled."""
        with self._mapped():
            found = await self._client.hmget(self._part(line, part_id), "settled", "claim", "link")
        settled, decision, link = found
        return self._record(decision, link) if settled else None

    async def published(self, line: str, part_id: str) -> None:
        """Mark the part as published, where it is still kept."""
        with self._mapped():
            await self._published(keys=[self._part(line, part_id)], args=[self._settings.part_retention_s])

    async def put_payload(self, capture: CaptureId, payload: bytes, *, ttl_s: int) -> None:
        """Keep the payload.

        It goes piece by piece: one large command would hold up everything else in this process while it is copied to
        the socket. Nobody reads it before it is whole, since its reference is published afterwards.
        """
        key = self._payload(capture)
        with self._mapped():
            await self._client.set(key, payload[:_PIECE_BYTES], ex=ttl_s)
            for start in range(_PIECE_BYTES, len(payload), _PIECE_BYTES):
                if not await self._extend(keys=[key], args=[payload[start : start + _PIECE_BYTES]]):
                    raise StoreUnavailableError(f"payload of {capture} went from Redis before it was whole")

    async def payload(self, capture: CaptureId) -> bytes | None:
        """Return the payload, or None once it expired or was evicted."""
        with self._mapped():
            found: bytes | None = await self._client.get(self._payload(capture))
        return found

    async def set_state(self, line: str, fields: Mapping[str, str]) -> None:
        """Merge fields."""
        if not fields:
            return
        with self._mapped():
            await self._client.hset(self._key(line, "state"), mapping=dict(fields))

    async def state(self, line: str) -> dict[str, str]:
        """Return the fields."""
        with self._mapped():
            found = await self._client.hgetall(self._key(line, "state"))
        return {name.decode(errors="replace"): value.decode(errors="replace") for name, value in found.items()}

    async def kept(self, name: str) -> bytes | None:
        """Return the value."""
        with self._mapped():
            found: bytes | None = await self._client.get(self._prefixed("kept", name))
        return found

    async def keep(self, name: str, value: bytes, *, instead_of: bytes | None, noted: bool = False) -> bool:
        """Compare and set, and append."""
        keys = [self._prefixed("kept", name), self._prefixed("notes", name)]
        args: list[bytes | int] = [value, instead_of or b"", self._settings.stream_length if noted else 0]
        with self._mapped():
            return bool(await self._keep(keys=keys, args=args))

    async def notes(self, name: str, *, newest: int) -> list[bytes]:
        """Return the newest notes."""
        with self._mapped():
            entries = await self._client.xrevrange(self._prefixed("notes", name), count=newest)
        return [entry[b"note"] for _, entry in entries if b"note" in entry]

    async def close(self) -> None:
        """Disconnect."""
        with self._mapped():
            await self._client.aclose()

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        with cancellation_kept():
            try:
                yield
            except (redis_errors.RedisError, OSError, TimeoutError) as error:
                raise map_error(error, self._address) from error

    def _record(self, decision: bytes, link: bytes | None) -> LedgerRecord:
        try:
            return LedgerRecord(decision, unpack(link) if link else None)
        except WireError as error:
            raise StoreError(f"Redis at {self._address} holds a ledger record that cannot be read: {error}") from error

    def _prefixed(self, *parts: str) -> str:
        return ":".join((self._settings.key_prefix, *parts))

    def _key(self, line: str, *parts: str) -> str:
        return self._prefixed("line", line, *parts)

    def _payload(self, capture: CaptureId) -> str:
        return self._key(capture.line, "payload", capture.camera, str(capture.epoch), str(capture.sequence))

    def _part(self, line: str, part_id: str) -> str:
        return self._key(line, "part", part_id)
