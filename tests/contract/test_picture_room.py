"""The room of a line's pictures held against a model that anybody can check, on any sequence of puts and expiries."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.stores import LINE, PICTURE_BYTES, InRedis, Rig

NAMES = ("p1", "p2", "p3", "p4", "a:b")


@dataclass
class Room:
    """Pictures in the order in which they were put, by their sizes."""

    kept: OrderedDict[str, int] = field(default_factory=OrderedDict)
    dropped: int = 0

    def put(self, name: str, size: int) -> None:
        """Put one, and let the oldest go while there is too much."""
        self.kept.pop(name, None)
        if size > PICTURE_BYTES:
            self.dropped += 1
            return
        self.kept[name] = size
        while sum(self.kept.values()) > PICTURE_BYTES:
            self.kept.popitem(last=False)
            self.dropped += 1

    def expire_oldest(self) -> str | None:
        """Let the time of the oldest be over."""
        return self.kept.popitem(last=False)[0] if self.kept else None


puts = st.tuples(st.sampled_from(NAMES), st.integers(0, PICTURE_BYTES + 50))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(puts, st.none()), max_size=25))
@example([("p1", 300), ("p2", 1), ("p1", 299), ("p1", 301)])
@example([("p1", 100), ("p2", 100), None, ("p3", 100), ("p4", 100), ("p2", 0)])
def test_pictures_are_kept_as_the_model_keeps_them(store_url: str, steps: list[tuple[str, int] | None]) -> None:
    """The same ones, of the same sizes, within the room, with the same number dropped; None lets the oldest expire."""

    async def play() -> None:
        rig, room = Rig(store_url), Room()
        try:
            for step in steps:
                if step is None:
                    name = room.expire_oldest()
                    await rig.inside.forget("picture", str(name), "top")
                else:
                    await rig.store.put_picture(LINE, step[0], "top", bytes(step[1]))
                    room.put(*step)
                found = {name: await rig.other.picture(LINE, name, "top") for name in NAMES}
                held = {name: len(picture) for name, picture in found.items() if picture is not None}
                assert held == dict(room.kept)
            assert (await rig.store.counters(LINE)).pictures_dropped == room.dropped
        finally:
            await rig.close()

    asyncio.run(play())


@pytest.mark.redis
async def test_a_room_that_lost_its_order_takes_pictures_all_the_same(inside: tuple[Rig, InRedis]) -> None:
    """Redis lets go of keys where it is short of memory: sizes of what nobody can name any more are no room taken."""
    rig, redis = inside
    for number in range(3):
        await rig.store.put_picture(LINE, f"p{number}", "top", bytes(100))
    await redis.forget("pictures")
    for number in range(3, 8):
        await rig.store.put_picture(LINE, f"p{number}", "top", bytes(100))
        assert await rig.other.picture(LINE, f"p{number}", "top") == bytes(100)
    sizes = await redis.client.hgetall(redis.key("picture_bytes"))
    assert sizes == {b"": b"300", b"picture:p5:top": b"100", b"picture:p6:top": b"100", b"picture:p7:top": b"100"}
