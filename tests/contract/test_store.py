"""One suite for the embedded store and for a real Redis: the same effects, each exactly once."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from shared.domain import CameraFinding, CaptureId, Decision, NotInspected, Outcome, PartAnnouncement, VerdictStatus
from shared.errors import ChainMovedError, LeaseLostError, StoreError
from shared.latency import bucket_of
from shared.ledger.chain import LedgerRecord, decision_bytes, first_link, next_link
from shared.store.base import Alert, LeaseRecord, LineCounters, PartRecord
from shared.store.redis import RedisStore
from tests.stores import GONE, LINE, PICTURE_TTL_S, RETENTION_S, STREAM_LENGTH, AnyStore, InRedis, Rig, tell


def announcement(part_id: str = "p1") -> PartAnnouncement:
    """Make a part."""
    return PartAnnouncement(LINE, part_id, ("top",), captured_at_ns=1, decide_by_ns=2)


def decision(part_id: str = "p1", outcome: Outcome = Outcome.PASS, *, label: str | None = None) -> Decision:
    """Make a decision that has every field filled."""
    findings = (
        CameraFinding("top", VerdictStatus.INSPECTED, None, 0.25, 3.5, "model-1", "calibration-1"),
        CameraFinding("side", VerdictStatus.NOT_INSPECTED, NotInspected.EXPIRED, None, None, "", ""),
    )
    return Decision(
        LINE,
        part_id,
        outcome,
        reason="score",
        reject_at=3.0,
        findings=findings,
        captured_at_ns=1_700_000_000_123_456_789,
        decide_by_ns=1_700_000_000_623_456_789,
        decided_at_ns=1_700_000_000_323_456_789,
        label=label,
        stamps_ns={"published": 1, "decided": 2},
    )


async def test_it_answers(store: AnyStore) -> None:
    """A ping returns, and everything about an unknown line is empty."""
    await store.ping()
    assert await store.counters(LINE) == LineCounters()
    assert await store.state(LINE) == {}
    assert await store.decisions(LINE, newest=10) == []
    assert await store.alerts(LINE, newest=10) == []
    assert await store.picture(LINE, "p1", "top") is None


async def test_a_part_is_counted_once(rig: Rig) -> None:
    """Announcing a part again, from any process, counts nothing; another part does."""
    assert await rig.store.announce(announcement()) == PartRecord()
    assert await rig.other.announce(announcement()) == PartRecord()
    await rig.store.announce(announcement("p2"))
    assert (await rig.store.counters(LINE)).announced == 2


async def test_a_part_counts_when_its_claim_came_first(store: AnyStore) -> None:
    """An announcement that arrives behind the decision still counts, and says which decision stands."""
    await store.claim(decision())
    assert await store.announce(announcement()) == PartRecord(claimed=decision())
    assert (await store.counters(LINE)).announced == 1


async def test_the_first_claim_stands(rig: Rig) -> None:
    """Whoever claims later gets the first decision back, as it was, and so does whoever announces."""
    first, second = decision(outcome=Outcome.REJECT), decision(outcome=Outcome.PASS)
    assert await rig.store.claim(first) == first
    assert await rig.other.claim(second) == first
    assert (await rig.other.announce(announcement())).claimed == first


async def test_one_of_two_processes_wins_a_race(rig: Rig) -> None:
    """Of claims that arrive at once for many parts, both processes end with the same decision for each."""
    parts = [f"p{number}" for number in range(50)]
    lefts, rights = await asyncio.gather(
        asyncio.gather(*(rig.store.claim(decision(part, Outcome.PASS)) for part in parts)),
        asyncio.gather(*(rig.other.claim(decision(part, Outcome.DEFAULT_REJECT)) for part in parts)),
    )
    assert lefts == rights


async def test_a_decision_survives_the_store(store: AnyStore) -> None:
    """Every field comes back: findings with and without a score, reason, stamps and label."""
    full = decision(label="scratch")
    assert await store.claim(full) == full
    await store.settle(full, latency_ms=None)
    assert await store.decisions(LINE, newest=1) == [full]


COUNTS = [
    (Outcome.PASS, None, LineCounters(passed=1)),
    (Outcome.REJECT, None, LineCounters(rejected=1)),
    (Outcome.DEFAULT_REJECT, None, LineCounters(defaulted=1)),
    (Outcome.PASS, "good", LineCounters(passed=1)),
    (Outcome.REJECT, "good", LineCounters(rejected=1, false_rejects=1)),
    (Outcome.DEFAULT_REJECT, "good", LineCounters(defaulted=1)),
    (Outcome.PASS, "scratch", LineCounters(passed=1, defects=1, missed=1)),
    (Outcome.REJECT, "scratch", LineCounters(rejected=1, defects=1, caught=1)),
    (Outcome.DEFAULT_REJECT, "scratch", LineCounters(defaulted=1, defects=1, caught=1)),
]


@pytest.mark.parametrize(("outcome", "label", "counted"), COUNTS)
async def test_settling_counts_once(rig: Rig, outcome: Outcome, label: str | None, counted: LineCounters) -> None:
    """Outcome and label decide which counters grow; settling again, in any process, says False and adds nothing."""
    settled = decision(outcome=outcome, label=label)
    assert await rig.store.settle(settled, latency_ms=12.5, unconfirmed=True)
    assert not await rig.other.settle(replace(settled, outcome=Outcome.REJECT), latency_ms=99.0, unconfirmed=True)

    expected = replace(counted, unconfirmed=1, latency_buckets={bucket_of(12.5): 1})
    assert await rig.store.counters(LINE) == expected
    assert expected.settled == 1
    assert await rig.store.decisions(LINE, newest=10) == [settled]


ESCAPED = [
    (None, LineCounters(rejected=1, not_carried_out=1)),
    ("good", LineCounters(rejected=1, not_carried_out=1)),
    ("scratch", LineCounters(rejected=1, not_carried_out=1, defects=1, missed=1)),
]


@pytest.mark.parametrize(("label", "counted"), ESCAPED)
async def test_a_reject_that_was_not_carried_out_caught_nothing(
    store: AnyStore, label: str | None, counted: LineCounters
) -> None:
    """It has a counter of its own; a defect among them was missed, and a good part lost nothing."""
    settled = replace(decision(outcome=Outcome.REJECT, label=label), not_carried_out=True)
    await store.settle(settled, latency_ms=None)
    assert await store.counters(LINE) == counted
    assert await store.decisions(LINE, newest=1) == [settled]


async def test_a_settled_part_moves_its_lines_chain(rig: Rig) -> None:
    """The newest record is known byte for byte in every process, and each part's own; other lines have their own."""
    assert await rig.store.ledger_head(LINE) is None
    assert await rig.store.ledger_record(LINE, "p1") is None
    data = [decision_bytes(decision(part)) for part in ("p1", "p2")]
    first = first_link(data[0], began_ns=7, origin="größer")
    second = next_link(first, data[1])
    assert await rig.store.settle(decision("p1"), latency_ms=None, link=first)
    assert await rig.other.settle(decision("p2"), latency_ms=None, link=second, instead_of=first)
    assert await rig.store.ledger_head(LINE) == LedgerRecord(data[1], second)
    assert await rig.other.ledger_record(LINE, "p1") == LedgerRecord(data[0], first)
    assert await rig.store.ledger_head("packing") is None


async def test_a_chain_moves_only_from_what_was_read(rig: Rig) -> None:
    """Of two that put a record at one place one succeeds; for the other nothing is counted, and it may try again."""
    first = first_link(decision_bytes(decision("p1")), began_ns=7, origin="")
    await rig.store.settle(decision("p1"), latency_ms=None, link=first)
    link = next_link(first, decision_bytes(decision("p2")))
    for stale in (None, link):
        with pytest.raises(ChainMovedError, match=LINE):
            await rig.other.settle(decision("p2"), latency_ms=None, link=link, instead_of=stale)
    assert await rig.store.counters(LINE) == LineCounters(passed=1)
    assert await rig.store.ledger_record(LINE, "p2") is None
    assert await rig.other.settle(decision("p2"), latency_ms=None, link=link, instead_of=first)


async def test_a_part_keeps_its_place_in_the_chain(rig: Rig) -> None:
    """Settling it again moves nothing, whatever is to follow; and one settled without a place has none."""
    first = first_link(decision_bytes(decision("p1")), began_ns=7, origin="")
    await rig.store.settle(decision("p1"), latency_ms=None, link=first)
    again = next_link(first, decision_bytes(decision("p1")))
    assert not await rig.other.settle(decision("p1"), latency_ms=None, link=again, instead_of=first)
    assert await rig.store.ledger_head(LINE) == LedgerRecord(decision_bytes(decision("p1")), first)
    await rig.store.settle(decision("p2"), latency_ms=None)
    assert await rig.store.ledger_record(LINE, "p2") == LedgerRecord(decision_bytes(decision("p2")), None)


async def test_settling_may_change_the_claim(store: AnyStore) -> None:
    """What took effect at the gate replaces what was claimed."""
    await store.claim(decision(outcome=Outcome.PASS))
    effective = decision(outcome=Outcome.DEFAULT_REJECT)
    await store.settle(effective, latency_ms=None)
    assert await store.announce(announcement()) == PartRecord(claimed=effective, settled=True)


async def test_latencies_fall_into_buckets(store: AnyStore) -> None:
    """Each latency adds one to its bucket; a part without one adds to none."""
    for number, latency_ms in enumerate((10.0, 10.0, 500.0, None)):
        await store.settle(decision(f"p{number}"), latency_ms=latency_ms)
    counters = await store.counters(LINE)
    assert counters.latency_buckets == {bucket_of(10.0): 2, bucket_of(500.0): 1}
    assert counters.unconfirmed == 0


async def test_published_is_remembered(store: AnyStore) -> None:
    """The mark comes back with the part."""
    await store.announce(announcement())
    await store.settle(decision(), latency_ms=None)
    await store.published(LINE, "p1")
    assert await store.announce(announcement()) == PartRecord(decision(), settled=True, published=True)


async def test_an_expired_part_is_not_brought_back(rig: Rig) -> None:
    """Marking a part that is gone leaves nothing behind."""
    await rig.store.published(LINE, "p1")
    assert await rig.inside.ttl_s("part", "p1") == GONE


async def test_parts_and_pictures_expire(rig: Rig) -> None:
    """Each step on a part gives it the retention anew, whichever comes first; a picture has its own time to live."""
    await rig.store.announce(announcement("announced"))
    await rig.store.claim(decision("claimed"))
    await rig.store.settle(decision("settled"), latency_ms=None)
    await rig.store.put_picture(LINE, "p1", "top", b"jpeg")
    for part in ("announced", "claimed", "settled"):
        assert RETENTION_S - 10 < await rig.inside.ttl_s("part", part) <= RETENTION_S
    assert PICTURE_TTL_S - 10 < await rig.inside.ttl_s("picture", "p1", "top") <= PICTURE_TTL_S


async def test_pictures_belong_to_part_and_camera(rig: Rig) -> None:
    """A picture comes back byte for byte, in every process, and only for its part and camera."""
    jpeg = b"\xff\xd8" + bytes(range(256))
    await rig.store.put_picture(LINE, "p1", "top", jpeg)
    assert await rig.other.picture(LINE, "p1", "top") == jpeg
    assert await rig.other.picture(LINE, "p1", "side") is None
    assert await rig.other.picture(LINE, "p2", "top") is None


CAPTURE = CaptureId(LINE, "top", 1, 1)


@pytest.mark.redis
async def test_a_piece_of_a_payload_that_is_gone_is_not_kept(inside: tuple[Rig, InRedis]) -> None:
    """Evicted while it is being put it would begin anew with its next piece, and never expire."""
    rig, redis = inside
    assert isinstance(rig.store, RedisStore)
    key = rig.store._payload(CAPTURE)
    assert not await rig.store._extend(keys=[key], args=[b"pixels"])
    assert await redis.client.exists(key) == 0


async def test_late_verdicts_are_counted(store: AnyStore) -> None:
    """Counters outside of settled parts add up, several at a time."""
    await store.count(LINE, late_verdicts=1)
    await store.count(LINE, late_verdicts=2, pictures_dropped=1)
    assert await store.counters(LINE) == LineCounters(late_verdicts=3, pictures_dropped=1)


async def test_decisions_come_newest_first(store: AnyStore) -> None:
    """As many as asked for, from the newest on."""
    for number in range(5):
        await store.settle(decision(f"p{number}"), latency_ms=None)
    assert [entry.part_id for entry in await store.decisions(LINE, newest=3)] == ["p4", "p3", "p2"]


async def test_streams_are_trimmed(store: AnyStore) -> None:
    """Decisions and alerts keep about as many entries as configured, and always the newest."""
    for number in range(4 * STREAM_LENGTH):
        await store.settle(decision(f"p{number}"), latency_ms=None)
        await tell(store, Alert(LINE, "REJECT", "score 4", f"p{number}"))
    newest = f"p{4 * STREAM_LENGTH - 1}"
    for entries in (await store.decisions(LINE, newest=1_000), await store.alerts(LINE, newest=1_000)):
        # Redis trims whole nodes of a stream, of 100 entries by default.
        assert STREAM_LENGTH <= len(entries) <= 2 * STREAM_LENGTH
        assert entries[0].part_id == newest


async def test_state_is_merged(rig: Rig) -> None:
    """Fields replace those of the same name and leave the others; setting none is harmless."""
    await rig.store.set_state(LINE, {"status": "läuft", "model": "m1"})
    await rig.other.set_state(LINE, {"status": "stopped"})
    await rig.store.set_state(LINE, {})
    assert await rig.store.state(LINE) == {"status": "stopped", "model": "m1"}


async def test_a_lease_moves_only_from_what_was_read(rig: Rig) -> None:
    """Of two that want a line one gets it; holder, token and beat must all be the ones that were seen."""
    assert await rig.store.lease(LINE) is None
    held = LeaseRecord("größe/1", 7)
    assert await rig.store.move_lease(LINE, held, instead_of=None)
    assert not await rig.other.move_lease(LINE, LeaseRecord("two", 8), instead_of=None)
    for stale in (replace(held, beat=1), replace(held, token=6), replace(held, holder="two")):
        assert not await rig.other.move_lease(LINE, LeaseRecord("two", 8), instead_of=stale)
    assert await rig.other.lease(LINE) == held
    assert await rig.store.move_lease(LINE, replace(held, beat=1), instead_of=held)
    assert await rig.other.move_lease(LINE, LeaseRecord("", 7, 2), instead_of=replace(held, beat=1))
    assert await rig.store.lease(LINE) == LeaseRecord("", 7, 2)
    assert await rig.store.lease("packing") is None


@pytest.mark.parametrize("stands", [None, LeaseRecord("two", 8)])
async def test_a_token_that_does_not_stand_has_no_effect(rig: Rig, stands: LeaseRecord | None) -> None:
    """Whether another has the line, or the store was emptied: nothing is claimed, settled or restored, nor counted."""
    if stands is not None:
        await rig.store.move_lease(LINE, stands, instead_of=None)
    link = first_link(decision_bytes(decision()), began_ns=7, origin="")
    with pytest.raises(LeaseLostError, match=LINE):
        await rig.store.claim(decision(), token=7)
    with pytest.raises(LeaseLostError, match=LINE):
        await rig.store.settle(decision(), latency_ms=None, link=link, token=7)
    with pytest.raises(LeaseLostError):
        await rig.store.restore([LedgerRecord(decision_bytes(decision()), link)], token=7)
    assert await rig.store.announce(announcement()) == PartRecord()
    assert await rig.store.counters(LINE) == LineCounters(announced=1)
    assert await rig.store.ledger_head(LINE) is None


async def test_the_token_that_stands_claims_and_settles(rig: Rig) -> None:
    """Whatever its holder's beat is meanwhile."""
    await rig.store.move_lease(LINE, LeaseRecord("one", 7, 3), instead_of=None)
    assert await rig.other.claim(decision(), token=7) == decision()
    assert await rig.other.settle(decision(), latency_ms=None, token=7)


async def test_lost_parts_are_taken_in_once(rig: Rig) -> None:
    """As if announced, settled and published here, with their place in the chain; what is settled here stays."""
    signalled = replace(decision("p2"), stamps_ns={"signalled": decision().captured_at_ns + 12_500_000})
    lost = [decision("p1", Outcome.REJECT, label="scratch"), signalled, decision("p3", Outcome.DEFAULT_REJECT)]
    link = first_link(decision_bytes(lost[0]), began_ns=7, origin="")
    links = [link, next_link(link, decision_bytes(lost[1])), None]
    records = [LedgerRecord(decision_bytes(one), its) for one, its in zip(lost, links, strict=True)]
    await rig.store.announce(announcement("p3"))
    await rig.store.settle(decision("p3"), latency_ms=None)
    assert await rig.store.restore(records) == 2
    assert await rig.other.restore(records) == 0
    assert await rig.store.restore([]) == 0
    assert await rig.store.counters(LINE) == LineCounters(
        announced=3, passed=2, rejected=1, defects=1, caught=1, latency_buckets={bucket_of(12.5): 1}
    )
    assert await rig.other.announce(announcement("p1")) == PartRecord(lost[0], settled=True, published=True)
    assert await rig.store.ledger_record(LINE, "p2") == records[1]
    assert await rig.store.ledger_head(LINE) is None
    assert [one.part_id for one in await rig.store.decisions(LINE, newest=9)] == ["p2", "p1", "p3"]
    assert RETENTION_S - 10 < await rig.inside.ttl_s("part", "p1") <= RETENTION_S


async def test_lines_do_not_mix(store: AnyStore) -> None:
    """Parts of the same name on two lines are two parts."""
    await store.claim(decision())
    elsewhere = replace(decision(outcome=Outcome.REJECT), line="packing")
    assert await store.claim(elsewhere) == elsewhere
    await store.settle(elsewhere, latency_ms=None)
    assert await store.counters(LINE) == LineCounters()


@pytest.mark.redis
async def test_a_key_of_another_kind_is_an_error(inside: tuple[Rig, InRedis]) -> None:
    """Data that is not ours where ours should be raises StoreError, which nobody tries again."""
    rig, redis = inside
    await redis.client.set(redis.key("state"), "text")
    with pytest.raises(StoreError, match="WRONGTYPE"):
        await rig.store.state(LINE)
