"""What is particular to a real Redis: away, killed, frozen, full, guarded by a password, and redis-py's own errors."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest
import redis.asyncio
from redis import exceptions as redis_errors

from deploy.servers.ports import free_port
from deploy.servers.redis import RedisServer
from shared.domain import CaptureId
from shared.errors import ConfigError, StoreError, StoreUnavailableError
from shared.store.redis import RedisStore, map_error
from shared.store.settings import StoreSettings

SETTINGS = StoreSettings()
# Whatever may pass by itself, so that the same step may be tried again. Everything else is a plain StoreError.
TRANSIENT = {
    "BusyLoadingError",
    "ClusterDownError",
    "ClusterError",
    "ConnectionError",
    "ExternalAuthProviderError",
    "InvalidResponse",
    "LockError",
    "LockNotOwnedError",
    "MasterDownError",
    "MaxConnectionsError",
    "OutOfMemoryError",
    "ReadOnlyError",
    "RedisError",
    "TimeoutError",
    "TryAgainError",
    "WatchError",
}


def every_kind(kind: type[Exception]) -> Iterator[type[Exception]]:
    """Yield a class and all below it."""
    yield kind
    for below in kind.__subclasses__():
        yield from every_kind(below)


def test_every_error_of_redis_py_is_mapped() -> None:
    """Each class ends as one of ours, and one that is new to this list must be thought about before it is retried."""
    kinds = {kind for kind in every_kind(redis_errors.RedisError) if kind.__module__ == redis_errors.__name__}
    ours = {kind.__name__: type(map_error(kind.__new__(kind), "host:6379")) for kind in kinds}

    assert {name for name, kind_of_ours in ours.items() if kind_of_ours is StoreUnavailableError} == TRANSIENT
    assert set(ours.values()) == {StoreError, StoreUnavailableError}


def test_a_full_disk_passes() -> None:
    """Redis refuses writes while its disk is full, without an error class: the step is tried again."""
    error = redis_errors.ResponseError("MISCONF Redis is configured to save RDB snapshots, but is unable to persist")
    assert isinstance(map_error(error, "host:6379"), StoreUnavailableError)


@pytest.mark.parametrize(
    "url", ["http://:hunter2@host", "redis://:hunter2@host:port/0", "host:6379", "redis://host?password=hunter2&db=x"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    """Another scheme or a port that is no number raises ConfigError, without showing the password."""
    with pytest.raises(ConfigError, match="store address") as refused:
        RedisStore.from_url(url, SETTINGS)
    assert "hunter2" not in str(refused.value)


async def test_an_absent_redis_is_named_without_its_password() -> None:
    """StoreUnavailableError comes at once, with the address and a remedy; the password is nowhere in the chain."""
    port = free_port()
    store = RedisStore.from_url(f"redis://:hunter2@127.0.0.1:{port}/0", SETTINGS)
    began = time.monotonic()
    with pytest.raises(StoreUnavailableError, match=rf"127\.0\.0\.1:{port}/0 does not answer .*store\.url") as away:
        await store.ping()
    assert time.monotonic() - began < 1
    assert "hunter2" not in f"{away.value!r} {away.value} {away.value.__cause__!r}"
    await store.close()


@pytest.fixture(scope="module")
def server(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Give a Redis that may be killed; it needs what the shared one needs."""
    del redis_url
    with RedisServer(tmp_path_factory.mktemp("killed")) as started:
        yield started


@pytest.fixture
async def store(server: RedisServer) -> AsyncIterator[RedisStore]:
    """Connect to it, and leave it running and open to everybody."""
    store = RedisStore.from_url(server.url, SETTINGS)
    await store.ping()
    yield store
    await store.close()
    server.start()


@pytest.fixture
async def admin(server: RedisServer) -> AsyncIterator[redis.asyncio.Redis]:
    """Give a client that sets the server up."""
    client = redis.asyncio.Redis.from_url(server.url, protocol=2)
    yield client
    await client.aclose()


@pytest.mark.redis
async def test_the_same_store_works_after_a_restart(store: RedisStore, server: RedisServer) -> None:
    """Away while Redis is killed; back, with what was written and with its scripts, when Redis is."""
    await asyncio.gather(*(store.count("line", late_verdicts=1) for _ in range(5)))
    await store.published("line", "p1")
    server.kill9()
    with pytest.raises(StoreUnavailableError):
        await store.counters("line")
    server.start()

    await store.published("line", "p1")
    assert (await store.counters("line")).late_verdicts == 5


@pytest.mark.redis
async def test_a_crowd_waits_its_turn(store: RedisStore) -> None:
    """Hundreds of steps at once, as after an outage, take turns on a bounded number of connections."""
    before = (await store.counters("crowd")).late_verdicts
    await asyncio.gather(*(store.count("crowd", late_verdicts=1) for _ in range(500)))
    assert (await store.counters("crowd")).late_verdicts == before + 500


@pytest.mark.redis
async def test_a_restart_in_between_is_not_noticed(store: RedisStore, server: RedisServer) -> None:
    """Connections that a restart has cut are renewed without an error."""
    await asyncio.gather(*(store.ping() for _ in range(5)))
    server.restart()
    await asyncio.gather(*(store.ping() for _ in range(5)))


@pytest.mark.redis
async def test_a_frozen_redis_is_noticed_soon(store: RedisStore, server: RedisServer) -> None:
    """A command to a Redis that does not answer ends within seconds, and the next one after it thaws gets its own."""
    await store.set_state("line", {"a": "b"})
    server.freeze()
    try:
        began = time.monotonic()
        with pytest.raises(StoreUnavailableError, match="Timeout"):
            await store.counters("line")
        assert time.monotonic() - began < 4
    finally:
        server.thaw()
    assert await store.state("line") == {"a": "b"}


@pytest.mark.redis
async def test_a_cancelled_command_leaves_no_answer_behind(store: RedisStore, server: RedisServer) -> None:
    """After a command was given up while it waited, the next one gets its own answer and not the earlier one's."""
    await store.set_state("cancelled", {"a": "b"})
    server.freeze()
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await store.state("cancelled")
    finally:
        server.thaw()
    assert await store.state("other") == {}
    assert await store.state("cancelled") == {"a": "b"}


@pytest.mark.redis
async def test_a_full_redis_is_away_for_writers(store: RedisStore, admin: redis.asyncio.Redis) -> None:
    """Out of memory raises StoreUnavailableError: the same write succeeds when there is room again."""
    await admin.config_set("maxmemory", "1")
    try:
        with pytest.raises(StoreUnavailableError, match="takes no writes now"):
            await store.set_state("full", {"a": "b"})
    finally:
        await admin.config_set("maxmemory", "0")
    await store.set_state("full", {"a": "b"})


@pytest.mark.redis
async def test_a_redis_that_fills_while_a_payload_is_put_is_away(store: RedisStore, admin: redis.asyncio.Redis) -> None:
    """Between two of its pieces too; once there is room the same payload goes in whole."""
    capture, payload = CaptureId("line", "camera", 1, 1), bytes(50 * 2**20)
    used = (await admin.info("memory"))["used_memory"]
    await admin.config_set("maxmemory", str(used + 20 * 2**20))
    try:
        with pytest.raises(StoreUnavailableError, match="takes no writes now"):
            await store.put_payload(capture, payload, ttl_s=60)
        (key,) = await admin.keys("*payload*")
        assert 2**20 <= await admin.strlen(key) < len(payload)
    finally:
        await admin.config_set("maxmemory", "0")
    await store.put_payload(capture, payload, ttl_s=60)
    assert await store.payload(capture) == payload
    assert 0 < await admin.ttl(key) <= 60


@pytest.mark.redis
async def test_pictures_do_not_fill_a_redis_beyond_its_memory(store: RedisStore, admin: redis.asyncio.Redis) -> None:
    """A full Redis refuses the next picture whole, and what it had before stays as it was."""
    picture = bytes(100_000)
    most = (await admin.info("memory"))["used_memory"] + 20 * len(picture)
    await admin.config_set("maxmemory", str(most))
    put = 0

    async def fill() -> None:
        nonlocal put
        for put in range(100):
            await store.put_picture("full", f"p{put}", "top", picture)

    try:
        with pytest.raises(StoreUnavailableError, match="takes no writes now"):
            await fill()
        assert 0 < put < 100
        assert (await admin.info("memory"))["used_memory"] < most + 2 * len(picture)
        # One that is there already is not taken away for what cannot be written in its place.
        with pytest.raises(StoreUnavailableError, match="takes no writes now"):
            await store.put_picture("full", "p0", "top", picture)
        kept = [await store.picture("full", f"p{number}", "top") for number in range(put + 1)]
        assert [one is not None for one in kept] == [True] * put + [False]
    finally:
        await admin.config_set("maxmemory", "0")
    await store.put_picture("full", f"p{put}", "top", picture)
    assert await store.picture("full", f"p{put}", "top") == picture


@pytest.mark.redis
async def test_a_wrong_password_is_not_an_outage(server: RedisServer, admin: redis.asyncio.Redis) -> None:
    """A login that Redis refuses raises StoreError, which nobody tries again, and shows no password."""
    await admin.config_set("requirepass", "right")
    store = RedisStore.from_url(server.url.replace("redis://", "redis://:hunter2@"), SETTINGS)
    try:
        with pytest.raises(StoreError, match="refuses the login") as refused:
            await store.ping()
        assert not isinstance(refused.value, StoreUnavailableError)
        assert "hunter2" not in str(refused.value)
    finally:
        await admin.config_set("requirepass", "")
        await store.close()
