"""Every key that a run leaves in the store is in docs/store.md, of the type that it says, expiring where it says so."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest

from alerting.console.context import make_context
from alerting.console.rights import roles_from
from shared.alerts import Deed, What
from shared.domain import CameraReport, CameraState, CaptureId
from shared.evidence import CameraEvidence, Thresholds, Why
from shared.plan_keeper import PlanKeeper
from shared.policy import LinePolicy
from shared.policy_keeper import PolicyKeeper
from shared.policy_record import LineHalt
from shared.review import Said
from shared.review_desk import ReviewDesk
from shared.store.base import Feed, Reader
from shared.wire import encode
from tests.lines import CAMERA, LINE, Plant, inspected, running
from tests.on_redis import on_redis
from tests.outages import CuttableStore

DOC = Path(__file__).parents[2] / "docs" / "store.md"
PLACEHOLDERS = {"L", "P", "C", "S", "T", "F", "EPOCH", "SEQUENCE"}
TYPES = {"set": b"set", "string": b"string", "stream": b"stream", "hash": b"hash", "sorted set": b"zset"}
READER = Reader("console")


@dataclass(frozen=True)
class Documented:
    """A row of the table."""

    pattern: str
    type: bytes
    expires: bool

    def matches(self, key: str) -> bool:
        """Return whether a key is one of these."""
        words = re.split(r"([:.])", self.pattern)
        return bool(re.fullmatch("".join(".+" if word in PLACEHOLDERS else re.escape(word) for word in words), key))


def documented() -> list[Documented]:
    """Read the table."""
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]+) \| [^|]+ \| ([^|]+) \|", DOC.read_text(encoding="utf-8"), re.MULTILINE)
    return [Documented(key, TYPES[kind.strip()], lasting.strip().startswith("expires")) for key, kind, lasting in rows]


async def run_a_line(plant: Plant) -> None:
    """Do everything that leaves something in the store."""
    await PlanKeeper(plant.store, plant.topics).grow(plant.settings.wanted)
    for part_id, score in (("good", 0.5), ("bad", 5.0), ("odd:one", 5.0), ("silent", None)):
        await plant.announce(part_id, label="good")
        if score is not None:
            await plant.say(part_id, score, overlay=b"jpeg")
    offline = CameraReport(LINE, CAMERA, CameraState.OFFLINE, "refused", "no picture", plant.clock.utc_ns())
    await plant.put(plant.topics.captures, encode(offline))
    await plant.run(2)
    await plant.say("good", 0.1)
    keeper = PolicyKeeper(plant.store, plant.topics, LINE)
    await keeper.change(
        lambda old: LinePolicy(reject_at=old.reject_at / 2),
        first=LinePolicy(reject_at=4.0),
        by="anna",
        at_ns=1,
        why="x",
    )
    await plant.store.handle_alert(LINE, Deed(What.ACKNOWLEDGED, "CAMERA_OFFLINE", "anna", "seen", 1))
    rejected = (await plant.decisions())["bad"]
    desk = ReviewDesk(plant.store, LINE, plant.clock)
    seen = CameraEvidence(inspected(5.0), Thresholds(3.0))
    for part_id in ("bad", "odd:one"):
        await plant.store.put_evidence(replace(rejected, part_id=part_id), Why.REJECTED, CAMERA, seen)
    await desk.say("bad", Said.OVERKILL, who="anna", why="dust")
    await desk.say("silent", Said.AGREED, who="anna", why="nobody saw it")
    await plant.store.put_payload(CaptureId(LINE, CAMERA, 1, 1), b"pixels", ttl_s=9)
    (first, *_) = await plant.store.next_decisions(LINE, READER, most=10)
    await plant.store.finished(LINE, Feed.DECISIONS, READER, [first.id])
    await plant.store.next_alerts(LINE, READER, most=10)
    console = make_context(plant.settings, store=plant.store, clock=plant.clock)
    await console.desk.add_guest("anna", roles_from("viewer"), why="tried")
    await console.sessions.begin((await console.desk.accounts()).user("anna"))
    await console.sessions.sign_in_link("anna", ttl_s=60)
    await console.audit.note_sign_in("anna", "signed in", at_ns=1)
    await console.store.hold("console-browser.f", b"anna", ttl_s=60)
    await plant.run(2)
    halt = LineHalt(LINE, halted=True, by="anna", at_ns=plant.clock.utc_ns(), why="tried")
    assert await keeper.halt(halt, instead_of=None)


@pytest.mark.redis
async def test_every_key_is_documented_and_every_documented_key_is_there(redis_url: str) -> None:
    """With its type, and with a time to live where one is named and nowhere else."""
    store, clock = on_redis(redis_url)
    plant = Plant(clock=clock)
    plant.store = cast("CuttableStore", store)
    async with running(plant):
        await run_a_line(plant)
        client = store._client
        rows, seen = documented(), set()
        async for raw in client.scan_iter(match=f"{store.prefix}:*"):
            key = raw.decode().removeprefix(f"{store.prefix}:")
            fitting = [row for row in rows if row.matches(key)]
            # Of several the one with the most words of its own: `kept:line-policy.T.L` fits more than its own keys.
            row = max(fitting, key=lambda one: len(one.pattern), default=None)
            assert row is not None, f"{key} is not in docs/store.md"
            assert (row.type, row.expires) == (await client.type(raw), await client.ttl(raw) >= 0), key
            seen.add(row)
        assert {row.pattern for row in rows if row not in seen} == set()
