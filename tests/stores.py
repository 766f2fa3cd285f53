"""Two stores as two processes have them, on one server or one process's data, and a look inside."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC
from math import inf
from typing import Any, Protocol, TypeAlias

import redis.asyncio

from shared.alerts import Severity, StandingAlert
from shared.clock import Clock, ManualClock, SystemClock
from shared.domain import CaptureId
from shared.shifts import Shifts
from shared.store.base import Alert, Feed, Store
from shared.store.memory import MemoryData, MemoryStore
from shared.store.memory.data import PartData
from shared.store.memory.expiring import Expiring
from shared.store.memory.room import Room, size_of
from shared.store.memory.stream import Stream
from shared.store.redis import RedisStore
from shared.store.settings import StoreSettings

LINE = "bottling"
RETENTION_S = 1_000
PICTURE_TTL_S = 100
STREAM_LENGTH = 100
PICTURE_BYTES = 300
SHIFT_RETENTION_S = 5_000
GONE, FOR_GOOD = -2, -1
"""What is said instead of how long something still lives."""

AnyStore: TypeAlias = RedisStore | MemoryStore


def rig_settings() -> StoreSettings:
    """Return settings of small bounds, with keys that no other test sees."""
    return StoreSettings(
        f"test-{uuid.uuid4().hex}",
        RETENTION_S,
        PICTURE_TTL_S,
        STREAM_LENGTH,
        picture_bytes=PICTURE_BYTES,
        shift_retention_s=SHIFT_RETENTION_S,
        shifts={LINE: Shifts(("06:00", "18:00"), UTC)},
    )


def change(*stores: AnyStore, **settings: int) -> None:
    """Let stores have other settings from now on."""
    for store in stores:
        store._settings = replace(store._settings, **settings)  # type: ignore[arg-type]


def embedded_store(clock: Clock | None = None) -> MemoryStore:
    """Return a store in this process's memory, in which things end by `clock`."""
    return MemoryStore(StoreSettings(), MemoryData(clock or SystemClock()))


class Inside(Protocol):
    """What lies in a store's data, by what it is ("part", "picture", "evidence", ...) and its names."""

    def connect(self, settings: StoreSettings) -> AnyStore:
        """Return one more store on the data."""
        ...

    async def ttl_s(self, kind: str, *names: str) -> float:
        """Return how long something still lives, `GONE` or `FOR_GOOD`."""
        ...

    async def shorten(self, kind: str, *names: str, ttl_s: int) -> None:
        """Let something live so long and no longer."""
        ...

    async def forget(self, kind: str, *names: str) -> None:
        """Let something go, as at its end; a feed with its groups."""
        ...

    async def damage(self, kind: str, name: str, value: bytes) -> None:
        """Put what nobody can read in the place of something, or behind what a record holds."""
        ...

    async def thing(self, kind: str, part_id: str) -> dict[str, bytes]:
        """Return a part's evidence or exhibit, its cover under the empty name."""
        ...

    async def sizes(self, kind: str) -> dict[str, int]:
        """Return what a room ("pictures", "exhibits") holds, oldest first, and the size of each.

        Their sum is the one that it says.
        """
        ...

    async def close(self) -> None:
        """Remove the data."""
        ...


class InRedis:
    """What lies in Redis."""

    _ROOMS = {"pictures": "picture_bytes", "exhibits": "exhibit_bytes"}  # noqa: RUF012 - a constant
    _RECORDS = {"decisions": "decision", "deeds": "deed"}  # noqa: RUF012 - a constant
    _FIELDS = {"part": "claim", "evidence": ""}  # noqa: RUF012 - a constant

    def __init__(self, url: str, prefix: str) -> None:
        self._url = url
        self._prefix = prefix
        # redis-py types every reply as bytes or text; here they are bytes.
        self.client: Any = redis.asyncio.Redis.from_url(url, protocol=2)

    def key(self, kind: str, *names: str) -> str:
        """Return a key."""
        if kind == "held":
            return ":".join((self._prefix, kind, *names))
        return ":".join((self._prefix, "line", LINE, kind, *(name.replace(" ", "T") for name in names)))

    def connect(self, settings: StoreSettings) -> RedisStore:
        """Connect once more."""
        return RedisStore.from_url(self._url, settings)

    async def ttl_s(self, kind: str, *names: str) -> float:
        """Ask for it."""
        left_ms = int(await self.client.pttl(self.key(kind, *names)))
        return left_ms / 1_000 if left_ms >= 0 else left_ms

    async def shorten(self, kind: str, *names: str, ttl_s: int) -> None:
        """Set its time to live."""
        await self.client.expire(self.key(kind, *names), ttl_s)

    async def forget(self, kind: str, *names: str) -> None:
        """Delete its key."""
        await self.client.delete(self.key(kind, *names))

    async def damage(self, kind: str, name: str, value: bytes) -> None:
        """Write it."""
        if kind in self._RECORDS:
            await self.client.xadd(self.key(kind), {self._RECORDS[kind]: value})
        elif kind in self._FIELDS:
            await self.client.hset(self.key(kind, name), mapping={"settled": "1"} if kind == "part" else {"x": b"x"})
            await self.client.hset(self.key(kind, name), self._FIELDS[kind], value)
        else:
            await self.client.hset(self.key(kind), name, value)

    async def thing(self, kind: str, part_id: str) -> dict[str, bytes]:
        """Read its hash."""
        found = await self.client.hgetall(self.key(kind, part_id))
        return {name.decode(): value for name, value in found.items()}

    async def sizes(self, kind: str) -> dict[str, int]:
        """Read its order and its sizes."""
        found = await self.client.hgetall(self.key(self._ROOMS[kind]))
        named = {name.decode(): int(size) for name, size in found.items()}
        total = named.pop("", 0)
        order = await self.client.zrange(self.key(kind), 0, -1)
        assert {name.decode() for name in order} == named.keys()
        assert total == sum(named.values())
        return {name.decode(): named[name.decode()] for name in order}

    async def close(self) -> None:
        """Delete all keys, and disconnect."""
        async for key in self.client.scan_iter(match=f"{self._prefix}:*"):
            await self.client.delete(key)
        await self.client.aclose()


class InMemory:
    """What lies in this process, on a clock turned by hand."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.data = MemoryData(self.clock)

    def connect(self, settings: StoreSettings) -> MemoryStore:
        """Return one more store on the data."""
        return MemoryStore(settings, self.data)

    async def ttl_s(self, kind: str, *names: str) -> float:
        """Look where it lies."""
        place, key = self._place(kind, *names)
        left_s = place.left_s(key)
        return GONE if left_s is None else FOR_GOOD if left_s == inf else left_s

    async def shorten(self, kind: str, *names: str, ttl_s: int) -> None:
        """Put it again."""
        place, key = self._place(kind, *names)
        place.put(key, place.get(key), ttl_s)

    async def forget(self, kind: str, *names: str) -> None:
        """Take it out of its place."""
        line = self.data.line(LINE)
        if kind in list(Feed):
            line.feeds[Feed(kind)] = Stream()
        elif kind in ("picture", "evidence"):
            line.pictures.leave((kind, *names))
        else:
            place, key = self._place(kind, *names)
            place.pop(key)

    async def damage(self, kind: str, name: str, value: bytes) -> None:
        """Write it."""
        line = self.data.line(LINE)
        match kind:
            case "decisions":
                line.feeds[Feed.DECISIONS].append(value, at_ms=0, length=STREAM_LENGTH)
            case "deeds":
                line.deeds.append(value, at_ms=0, length=STREAM_LENGTH)
            case "part":
                line.parts.put(name, PartData(claim=value, settled=True), RETENTION_S)
            case "evidence":
                line.pictures.enter((kind, name), {"": value}, PICTURE_TTL_S)
            case _:
                records = {"board": line.board, "handling": line.handling, "review": line.cases}
                records[kind][name] = value

    async def thing(self, kind: str, part_id: str) -> dict[str, bytes]:
        """Look where it lies."""
        place, key = self._place(kind, part_id)
        found: Mapping[str, bytes] = place.get(key) or {}
        return dict(found)

    async def sizes(self, kind: str) -> dict[str, int]:
        """Measure what lies there."""
        line = self.data.line(LINE)
        room: Room = {"pictures": line.pictures, "exhibits": line.exhibits}[kind]
        sizes = {":".join(name): size_of(room.get(name) or {}) for name in reversed(list(room.newest_first()))}
        assert room.held_bytes == sum(sizes.values())
        return sizes

    async def close(self) -> None:
        """Forget everything."""
        self.data.clear()

    def _place(self, kind: str, *names: str) -> tuple[Expiring[Any, Any], object]:
        line = self.data.line(LINE)
        match kind:
            case "picture" | "evidence":
                return line.pictures.things, (kind, *names)
            case "exhibit":
                return line.exhibits.things, names
            case "payload":
                camera, epoch, sequence = names
                return self.data.payloads, CaptureId(LINE, camera, int(epoch), int(sequence))
            case _:
                (name,) = names
                places: dict[str, Expiring[Any, Any]] = {
                    "part": line.parts,
                    "shift": line.shifts,
                    "held": self.data.held,
                }
                return places[kind], name


class Rig:
    """Two stores as two processes have them, on the same data, which no other test sees; and a look inside."""

    def __init__(self, url: str) -> None:
        self.settings = rig_settings()
        self.inside: Inside = InMemory() if url == "memory://" else InRedis(url, self.settings.key_prefix)
        self.store, self.other = self.make(), self.make()

    def make(self) -> AnyStore:
        """Connect once more."""
        return self.inside.connect(self.settings)

    async def close(self) -> None:
        """Remove the data and disconnect."""
        await self.inside.close()
        for store in (self.store, self.other):
            await store.close()


@asynccontextmanager
async def turns() -> AsyncIterator[list[None]]:
    """Count the turns that others on the event loop have meanwhile."""
    taken: list[None] = []

    async def take() -> None:
        while True:
            taken.append(None)
            await asyncio.sleep(0)

    others = asyncio.create_task(take())
    yield taken
    others.cancel()


async def tell(store: Store, alert: Alert) -> None:
    """Let operators be told of something, and nothing else."""
    standing = StandingAlert(alert.line, alert.kind, alert.subject, Severity.INFO, alert.text, alert.at_ns, alert.at_ns)
    await store.put_alert(standing, told=alert)
