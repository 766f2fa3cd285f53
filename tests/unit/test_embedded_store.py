"""The embedded store shares its process's memory: what has ended must really go, and each step costs as little."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from shared.clock import ManualClock
from shared.domain import CaptureId, Decision, Outcome
from shared.evidence import CameraEvidence, Thresholds, Why
from shared.ledger.chain import LedgerRecord, decision_bytes
from shared.store.base import Feed
from shared.store.memory import MemoryData, MemoryStore
from shared.store.memory.expiring import SWEPT, Ends, Expiring
from shared.store.memory.stream import SLACK
from shared.store.reading import PIECE
from shared.store.settings import StoreSettings
from tests.lines import LINE, announcement, decided, inspected
from tests.stores import turns

PARTS = 50
KEPT = StoreSettings(part_retention_s=10, picture_ttl_s=10, stream_length=20, shift_retention_s=10)


def store_on(clock: ManualClock) -> MemoryStore:
    """Return a store that keeps everything for ten seconds."""
    return MemoryStore(KEPT, MemoryData(clock))


async def part(store: MemoryStore, name: str) -> None:
    """Let a part be announced and settled, with all that belongs to it."""
    await store.announce(announcement(name))
    decision = decided(name, Outcome.PASS)
    await store.claim(decision)
    await store.settle(decision, latency_ms=1.0)
    await store.published(LINE, name)


async def test_what_has_ended_is_freed_while_the_line_runs() -> None:
    """Parts, pictures, evidence, payloads and held values leave the memory as the line settles further parts."""
    clock = ManualClock()
    store = store_on(clock)
    for index in range(PARTS):
        name = f"old-{index}"
        await part(store, name)
        await store.put_picture(LINE, name, "camera", b"jpeg")
        seen = CameraEvidence(inspected(1.0, name), Thresholds(2.0))
        await store.put_evidence(decided(name, Outcome.REJECT), Why.REJECTED, "camera", seen)
        await store.put_payload(CaptureId(LINE, name, 1, 1), b"pixels", ttl_s=3)
        await store.hold(name, b"session", ttl_s=7)
    line, data = store.data.line(LINE), store.data
    assert (len(line.parts), len(data.payloads), len(data.held)) == (PARTS, PARTS, PARTS)
    assert (len(line.pictures.things), line.pictures.held_bytes > 0) == (2 * PARTS, True)
    await clock.advance(10)
    steps = 0
    while line.pictures.held_bytes or len(line.parts) > steps:
        await part(store, f"new-{steps}")
        steps += 1
    # Each of a part's steps looks at a few ends; five things of each old one are to go, two of them noted twice.
    assert steps <= 7 * PARTS / SWEPT
    assert (len(data.payloads), len(data.held), len(line.pictures.things)) == (0, 0, 0)
    assert len(data.ends) <= 2 * steps + SWEPT


async def test_nothing_of_a_long_run_stays_but_records_of_their_length() -> None:
    """Ten times as many parts take no more memory once the first of them have gone."""
    clock = ManualClock()
    store = store_on(clock)
    held = []
    for index in range(4_000):
        await part(store, f"p{index}")
        await clock.advance(0.1, settle=0)
        if index in (399, 3_999):
            held.append(len(store.data.line(LINE).parts))
            assert len(store.data.ends) <= 3 * held[-1]
    assert held[1] <= held[0] <= 101 + SWEPT
    assert len(await store.decisions(LINE, newest=10_000)) < KEPT.stream_length + SLACK


async def test_a_line_that_stands_still_frees_what_has_ended_too() -> None:
    """It says each second how it stands."""
    clock = ManualClock()
    store = store_on(clock)
    for index in range(PARTS):
        await part(store, f"p{index}")
    await clock.advance(10)
    for _ in range(2 * PARTS // SWEPT + 1):
        await store.set_state(LINE, {"state": "RUNNING"})
    assert (len(store.data.line(LINE).parts), len(store.data.ends)) == (0, 0)


async def test_a_shifts_counters_go_after_their_time() -> None:
    """Those of a shift in which nobody counts any more."""
    clock = ManualClock()
    store = store_on(clock)
    day = store.data.line(LINE).shifts
    await store.settle(decided("old", Outcome.PASS), latency_ms=1.0)
    (old,) = day.newest_first()
    await clock.advance(11)
    later = decided("new", Outcome.PASS)
    await store.settle(replace(later, captured_at_ns=later.captured_at_ns + 10 * 86_400 * 10**9), latency_ms=1.0)
    assert (await store.shift_counters(LINE, old)).settled == 0
    assert old not in day.newest_first()
    assert len(day) == 1


async def test_readers_see_nothing_whose_time_is_over() -> None:
    """At the very instant, though nothing was asked of the store since."""
    clock = ManualClock()
    store = store_on(clock)
    await part(store, "p1")
    await store.put_picture(LINE, "p1", "camera", b"jpeg")
    await store.hold("session", b"one", ttl_s=10)
    await clock.advance(9.999)
    assert (await store.announce(announcement("p1"))).settled
    assert await store.picture(LINE, "p1", "camera") == b"jpeg"
    assert await store.hold("session", b"two", ttl_s=1, again=True)
    await clock.advance(1)
    assert await store.picture(LINE, "p1", "camera") is None
    assert await store.held("session") is None
    assert not await store.hold("session", b"three", ttl_s=1, again=True)
    assert not await store.release("session")
    assert await store.ledger_record(LINE, "p1") is None
    await store.published(LINE, "p1")
    assert len(store.data.line(LINE).parts) == 1
    assert not (await store.announce(announcement("p1"))).settled


async def test_a_step_on_a_part_gives_it_its_time_anew() -> None:
    """A claim, a settlement and its publication do; an announcement that comes again does not."""
    clock = ManualClock()
    store = store_on(clock)
    await store.announce(announcement("p1"))
    for step in (store.claim(decided("p1", Outcome.PASS)), store.settle(decided("p1", Outcome.PASS), latency_ms=None)):
        await clock.advance(8)
        await step
    await clock.advance(8)
    await store.published(LINE, "p1")
    await clock.advance(8)
    assert (await store.announce(announcement("p1"))).published
    await clock.advance(2)
    assert not (await store.announce(announcement("p1"))).published


async def test_others_have_their_turn_while_much_is_restored_or_read() -> None:
    """A gate's next signal does not wait until thousands of records are done with."""
    store = store_on(ManualClock())
    store._settings = replace(KEPT, stream_length=10_000)
    records = [LedgerRecord(decision_bytes(decided(f"p{index}", Outcome.PASS)), None) for index in range(1_000)]
    async with turns() as restoring:
        assert await store.restore(records) == 1_000
    async with turns() as reading:
        assert len(await store.decisions(LINE, newest=1_000)) == 1_000
    assert min(len(restoring), len(reading)) >= 1_000 // PIECE


def test_a_value_that_ends_sooner_than_before_goes_sooner() -> None:
    """And one that was put again, let go and put once more is let go of once."""
    clock, gone = ManualClock(), list[str]()
    ends = Ends(clock)
    values: Expiring[str, str] = Expiring(ends, gone.append)
    values.put("a", "long", 100)
    values.put("a", "short", 1)
    values.put("b", "first", 1)
    assert values.pop("b") == "first"
    values.put("b", "second", 50)
    values.put("c", "for good", None)
    asyncio.run(clock.advance(2))
    ends.sweep()
    assert (gone, list(values.newest_first()), len(values)) == (["short"], ["c", "b"], 2)
    asyncio.run(clock.advance(200))
    ends.sweep()
    assert (gone, list(values.newest_first()), len(ends)) == (["short", "second"], ["c"], 0)


async def test_a_feed_goes_on_behind_its_newest_entry_when_the_clock_is_set_back() -> None:
    """Names of entries order them, whatever the wall clock does."""
    clock = ManualClock()
    store = store_on(clock)
    names = []
    for index, step_s in enumerate((0.0, -60.0, 0.0, 3_600.0)):
        clock.step_utc(step_s)
        await store.settle(decided(f"p{index}", Outcome.PASS), latency_ms=None)
        names.append(await store.newest_entry(LINE))
    at_ms = clock.utc_ns() // 1_000_000 - 3_540_000
    assert names == [f"{at_ms}-0", f"{at_ms}-1", f"{at_ms}-2", f"{at_ms + 3_540_000}-0"]
    entries = await store.decision_entries(LINE, after=names[0], most=10)
    assert [entry.id for entry in entries] == names[1:]
    assert [entry.value for entry in entries] == [_pass(1), _pass(2), _pass(3)]
    assert store.data.line(LINE).feeds[Feed.DECISIONS].newest(0) == []


def _pass(number: int) -> Decision:
    return decided(f"p{number}", Outcome.PASS)
