"""What the store keeps of a line as it runs: counts by shift, pictures within their room, groups of readers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.clock import NS_PER_S
from shared.domain import Decision, Outcome, PartAnnouncement
from shared.latency import bucket_of
from shared.ledger.chain import LedgerRecord, decision_bytes
from shared.store.base import Alert, Feed, Lag, LineCounters, Reader
from tests.lines import decided
from tests.stores import LINE, PICTURE_BYTES, PICTURE_TTL_S, SHIFT_RETENTION_S, STREAM_LENGTH, InRedis, Rig, tell

EARLY_NS = 1_774_785_600 * NS_PER_S
"""2026-03-29 12:00 UTC."""
LATE_NS = EARLY_NS + 8 * 3_600 * NS_PER_S
EARLY, LATE = "2026-03-29 06:00", "2026-03-29 18:00"
READER = Reader("console")


def part(part_id: str, at_ns: int) -> PartAnnouncement:
    """Return a part captured then."""
    return PartAnnouncement(LINE, part_id, ("top",), at_ns, at_ns + NS_PER_S)


def decision(part_id: str, outcome: Outcome = Outcome.PASS, *, at_ns: int = EARLY_NS) -> Decision:
    """Return the decision of a part captured then."""
    return replace(decided(part_id, outcome, at_ns=at_ns), line=LINE)


async def test_parts_count_in_the_shift_that_captured_them(rig: Rig) -> None:
    """Once each, with outcome, truth and latency; the line counts all shifts, and each shift its own parts alone."""
    for part_id, at_ns in (("p1", EARLY_NS), ("p2", EARLY_NS), ("p3", LATE_NS)):
        for store in (rig.store, rig.other):
            await store.announce(part(part_id, at_ns))
    for store in (rig.store, rig.other):
        await store.settle(replace(decision("p1"), label="scratch"), latency_ms=10.0)
    await rig.other.settle(decision("p3", Outcome.REJECT, at_ns=LATE_NS), latency_ms=500.0, unconfirmed=True)
    await rig.store.count(LINE, late_verdicts=1)

    assert await rig.other.shift_counters(LINE, EARLY) == LineCounters(
        announced=2, passed=1, defects=1, missed=1, latency_buckets={bucket_of(10.0): 1}
    )
    assert await rig.store.shift_counters(LINE, LATE) == LineCounters(
        announced=1, rejected=1, unconfirmed=1, latency_buckets={bucket_of(500.0): 1}
    )
    assert (await rig.store.counters(LINE)).announced == 3
    assert await rig.store.shift_counters(LINE, "2026-03-30 06:00") == LineCounters()
    assert await rig.store.shift_counters("packing", EARLY) == LineCounters()


async def test_lost_parts_count_in_their_shift_again(rig: Rig) -> None:
    """As they counted before the store was emptied; one that is announced again counts on in the shift it has."""
    signalled = replace(decision("p1"), stamps_ns={"signalled": EARLY_NS + 12_500_000})
    late = decision("p2", Outcome.REJECT, at_ns=LATE_NS)
    await rig.other.announce(part("p2", EARLY_NS))
    assert await rig.store.restore([LedgerRecord(decision_bytes(one), None) for one in (signalled, late)]) == 2
    assert await rig.store.shift_counters(LINE, EARLY) == LineCounters(
        announced=2, passed=1, rejected=1, latency_buckets={bucket_of(12.5): 1}
    )
    assert await rig.store.shift_counters(LINE, LATE) == LineCounters()
    assert SHIFT_RETENTION_S - 10 < await rig.inside.ttl_s("shift", EARLY) <= SHIFT_RETENTION_S


async def test_a_part_counts_in_one_shift_alone(rig: Rig) -> None:
    """Cameras on both sides of the change of shifts give one part two times: the first that was told of binds."""
    await rig.store.announce(part("p1", EARLY_NS))
    await rig.other.settle(decision("p1", at_ns=LATE_NS), latency_ms=None)
    await rig.store.settle(decision("p2", at_ns=LATE_NS), latency_ms=None)
    await rig.other.announce(part("p2", EARLY_NS))
    for shift in (EARLY, LATE):
        assert await rig.store.shift_counters(LINE, shift) == LineCounters(announced=1, passed=1)


async def test_a_line_without_shifts_counts_by_day(rig: Rig) -> None:
    """In UTC, as long as nobody says otherwise."""
    await rig.store.announce(replace(part("p1", LATE_NS), line="packing"))
    assert await rig.store.shift_counters("packing", "2026-03-29") == LineCounters(announced=1)


async def test_shifts_are_kept_for_their_time(rig: Rig) -> None:
    """From the last part on that counted."""
    await rig.store.announce(part("p1", EARLY_NS))
    assert SHIFT_RETENTION_S - 10 < await rig.inside.ttl_s("shift", EARLY) <= SHIFT_RETENTION_S
    await rig.inside.shorten("shift", EARLY, ttl_s=1)
    await rig.store.settle(decision("p1"), latency_ms=None)
    assert await rig.inside.ttl_s("shift", EARLY) > 1


async def test_the_oldest_pictures_go_first(rig: Rig) -> None:
    """Each line has its room; what went is counted, and one that is larger than the room takes nobody's."""
    for number in range(4):
        await rig.store.put_picture(LINE, f"p{number}", "top", bytes(100))
    await rig.other.put_picture("packing", "p0", "top", bytes(PICTURE_BYTES))
    await rig.other.put_picture(LINE, "huge", "top", bytes(PICTURE_BYTES + 1))
    kept = [await rig.store.picture(LINE, name, "top") for name in ("p0", "p1", "p2", "p3", "huge")]
    assert [picture is not None for picture in kept] == [False, True, True, True, False]
    assert await rig.store.picture("packing", "p0", "top") is not None
    assert (await rig.store.counters(LINE)).pictures_dropped == 2
    assert PICTURE_TTL_S - 10 < await rig.inside.ttl_s("picture", "p3", "top") <= PICTURE_TTL_S


@pytest.mark.redis
async def test_a_rooms_order_and_sizes_expire_with_the_last_of_its_pictures(inside: tuple[Rig, InRedis]) -> None:
    """On Redis, where they are keys of their own."""
    rig, redis = inside
    await rig.store.put_picture(LINE, "p0", "top", bytes(100))
    for key in ("pictures", "picture_bytes"):
        assert PICTURE_TTL_S - 10 < await redis.ttl_s(key) <= PICTURE_TTL_S


async def test_a_picture_that_is_put_again_takes_no_more_room(rig: Rig) -> None:
    """It stands for itself, as it was last, and is the newest."""
    for name in ("p1", "p2", "p3", "p1"):
        await rig.store.put_picture(LINE, name, "top", name.encode() * 50)
    await rig.store.put_picture(LINE, "p4", "top", bytes(100))
    assert await rig.store.picture(LINE, "p1", "top") == b"p1" * 50
    assert await rig.store.picture(LINE, "p2", "top") is None


async def test_the_room_of_an_expired_picture_is_free(rig: Rig) -> None:
    """It counts against nobody, and its going is no want of room."""
    for name in ("p1", "p2", "p3"):
        await rig.store.put_picture(LINE, name, "top", bytes(100))
    await rig.inside.forget("picture", "p1", "top")
    await rig.store.put_picture(LINE, "p4", "top", bytes(100))
    assert await rig.store.picture(LINE, "p2", "top") is not None
    assert (await rig.store.counters(LINE)).pictures_dropped == 0


async def test_a_reader_that_was_away_goes_on_where_it_was(rig: Rig) -> None:
    """From the oldest that is kept, each entry once, through any process, in order."""
    for number in range(5):
        await rig.store.settle(decision(f"p{number}"), latency_ms=None)
    assert await rig.store.lag(LINE, Feed.DECISIONS, READER) == Lag(waiting=5)
    first = await rig.store.next_decisions(LINE, READER, most=3)
    assert [entry.value for entry in first] == [decision(f"p{number}") for number in range(3)]
    await rig.store.finished(LINE, Feed.DECISIONS, READER, [entry.id for entry in first])
    assert await rig.store.lag(LINE, Feed.DECISIONS, READER) == Lag(waiting=2)
    await rig.store.settle(decision("p5"), latency_ms=None)
    then = await rig.other.next_decisions(LINE, READER, most=10)
    assert [entry.value.part_id for entry in then] == ["p3", "p4", "p5"]


async def test_what_a_reader_did_not_finish_comes_again(rig: Rig) -> None:
    """To itself alone, before anything new."""
    for number in range(3):
        await rig.store.settle(decision(f"p{number}"), latency_ms=None)
    first = await rig.store.next_decisions(LINE, READER, most=2)
    await rig.store.finished(LINE, Feed.DECISIONS, READER, [first[0].id])
    assert await rig.other.next_decisions(LINE, READER, most=10) == first[1:]
    second = replace(READER, member="second")
    assert [entry.value.part_id for entry in await rig.other.next_decisions(LINE, second, most=10)] == ["p2"]
    assert await rig.store.lag(LINE, Feed.DECISIONS, READER) == Lag(unfinished=2)


async def test_each_group_reads_everything(rig: Rig) -> None:
    """Decisions and alerts alike, and each line's feed is its own."""
    told = [Alert(LINE, "GATE_LOST", "away", at_ns=number) for number in range(3)]
    for alert in told:
        await tell(rig.store, alert)
    for group in ("console", "archive"):
        assert [entry.value for entry in await rig.other.next_alerts(LINE, Reader(group), most=10)] == told
    assert await rig.store.next_alerts("packing", READER, most=10) == []
    assert await rig.store.next_decisions(LINE, READER, most=10) == []
    assert await rig.store.lag("bakery", Feed.ALERTS, READER) == Lag()


async def test_a_reader_learns_that_it_was_away_for_too_long(rig: Rig) -> None:
    """What was trimmed is lost to it, finished or not; it goes on with what is kept, and is not told again."""
    await rig.store.settle(decision("first"), latency_ms=None)
    assert len(await rig.store.next_decisions(LINE, READER, most=1)) == 1
    for number in range(4 * STREAM_LENGTH):
        await rig.store.settle(decision(f"p{number}"), latency_ms=None)
    lag = await rig.store.lag(LINE, Feed.DECISIONS, READER)
    assert lag.lost
    rest = await rig.other.next_decisions(LINE, READER, most=1_000)
    assert len(rest) == lag.waiting
    assert rest[-1].value.part_id == f"p{4 * STREAM_LENGTH - 1}"
    await rig.store.finished(LINE, Feed.DECISIONS, READER, [entry.id for entry in rest])
    assert await rig.store.lag(LINE, Feed.DECISIONS, READER) == Lag()
    await rig.store.settle(decision("last"), latency_ms=None)
    assert await rig.store.lag(LINE, Feed.DECISIONS, READER) == Lag(waiting=1)


@pytest.mark.parametrize("feed", list(Feed))
async def test_a_group_begins_anew_in_a_store_that_was_emptied(rig: Rig, feed: Feed) -> None:
    """Without an error, and without being asked to."""
    assert await rig.store.next_alerts(LINE, READER, most=1) == []
    assert await rig.store.next_decisions(LINE, READER, most=1) == []
    await rig.inside.forget(feed.value)
    await tell(rig.store, Alert(LINE, "GATE_LOST", "away"))
    await rig.store.settle(decision("p1"), latency_ms=None)
    assert len(await rig.store.next_alerts(LINE, READER, most=9)) == 1
    assert len(await rig.store.next_decisions(LINE, READER, most=9)) == 1
