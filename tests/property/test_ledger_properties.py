"""Whatever is done to a ledger's records, and wherever: it shows, and the record is named."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.domain import Outcome
from shared.errors import WireError
from shared.ledger.chain import LedgerRecord, Link, decision_bytes, first_link, next_link, pack, unpack
from shared.ledger.message import entry_of, from_body, from_message, to_body, to_message
from shared.ledger.verifier import Verifier
from tests.ledgers import chain, named, verified
from tests.lines import T0_NS, decided

COUNT = 12
RECORDS = chain(COUNT)
PLACES = st.integers(0, COUNT - 1)


def link_at(at: int, decision: bytes) -> Link:
    """Return the link that fits a decision at this place of the chain."""
    before = RECORDS[at - 1].link if at else None
    return next_link(before, decision) if before else first_link(decision, began_ns=T0_NS, origin="forged")


@given(count=st.integers(1, 30), repeats=st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=20))
def test_a_whole_chain_has_no_fault_however_often_its_records_are_repeated(
    count: int, repeats: list[tuple[int, int]]
) -> None:
    """A record that is published again after a crash lies at its own place of the chain, wherever on the topic."""
    records = chain(count)
    told = [[record] for record in records]
    for at, later in repeats:
        told[min(at % count + later, count - 1)].append(records[at % count])
    found = verified([record for group in told for record in group])
    assert found.faults == ()
    assert (found.records - found.repeated, found.repeated) == (count, len(repeats))


@settings(max_examples=1_000)
@given(at=PLACES, byte=st.integers(0, 10_000), bit=st.integers(0, 7))
@example(at=2, byte=8, bit=0)  # its sequence becomes that of the record before
def test_a_flipped_bit_of_a_decision_or_its_link_is_found_and_named(at: int, byte: int, bit: int) -> None:
    """Even by somebody who corrects all checksums of the message: the hash does not fit."""
    link = RECORDS[at].link
    assert link is not None
    packed, decision = pack(link), RECORDS[at].decision
    whole = bytearray(packed[1:] + decision)  # another version is another matter
    whole[byte % len(whole)] ^= 1 << bit
    try:
        changed = unpack(packed[:1] + whole[: len(packed) - 1])
    except WireError:
        return  # what is no link at all is found by whoever reads it
    verifier = Verifier()
    for index, record in enumerate(RECORDS):
        entry = entry_of(record.decision)
        flipped = LedgerRecord(bytes(whole[len(packed) - 1 :]), changed)
        verifier.take(flipped if index == at else record, entry)
    assert named(verifier.findings()) == [("changed", at + 1, f"p{at + 1}")]


@given(at=st.integers(0, COUNT - 2), more=st.integers(1, COUNT))
def test_dropped_records_are_found_and_named(at: int, more: int) -> None:
    """One or several in a row, the first too; the gap is told with the parts beside it."""
    end = min(at + more, COUNT - 1)
    found = verified(RECORDS[:at] + RECORDS[end:])
    assert named(found) == [("missing", at + 1, "")]
    assert f"before part p{end + 1}" in found.faults[0].text
    if end - at > 1:
        assert f"records {at + 1} to {end}" in found.faults[0].text


@given(kept=st.integers(0, COUNT - 1))
def test_a_chain_cut_at_its_end_is_found_by_an_end_that_was_written_down(kept: int) -> None:
    """Nothing in what is left could tell."""
    (end,) = verified(RECORDS).ends
    assert verified(RECORDS, against=[end]).faults == ()
    assert named(verified(RECORDS[:kept], against=[end])) == [("missing", COUNT, "")]


@given(pair=st.lists(PLACES, min_size=2, max_size=2, unique=True))
def test_swapped_records_are_found_and_named(pair: list[int]) -> None:
    """Two that changed places are both named, or one of two neighbours with the other in its text."""
    low, high = sorted(pair)
    records = list(RECORDS)
    records[low], records[high] = records[high], records[low]
    found = verified(records)
    assert {fault.kind.value for fault in found.faults} == {"misplaced"}
    sequences = {fault.sequence for fault in found.faults}
    assert sequences <= {low + 1, high + 1} if high - low != 2 else sequences <= {low + 1, low + 2, high + 1}
    told = " ".join(map(str, found.faults))
    assert f"p{low + 1}" in told or f"p{high + 1}" in told
    if high - low > 2:
        assert sequences == {low + 1, high + 1}


@given(pair=st.lists(PLACES, min_size=2, max_size=2, unique=True))
def test_swapped_contents_are_found_and_named(pair: list[int]) -> None:
    """Each of two decisions that lie under the other's link does not fit it."""
    low, high = pair
    records = list(RECORDS)
    records[low] = replace(records[low], decision=RECORDS[high].decision)
    records[high] = replace(records[high], decision=RECORDS[low].decision)
    assert sorted(named(verified(records))) == sorted(
        [("changed", low + 1, f"p{high + 1}"), ("changed", high + 1, f"p{low + 1}")]
    )


@given(at=st.integers(0, COUNT - 2))
def test_a_record_that_was_made_anew_breaks_the_chain_behind_it(at: int) -> None:
    """With its own hash right, the next record still holds the hash of the one that was there."""
    forged = decision_bytes(decided(f"p{at + 1}", Outcome.PASS, at_ns=77))
    link = link_at(at, forged)
    found = verified([*RECORDS[:at], LedgerRecord(forged, link), *RECORDS[at + 1 :]])
    assert named(found) == [("replaced", at + 2, f"p{at + 2}")]
    assert f"record {at + 1} (part p{at + 1})" in found.faults[0].text


@given(at=PLACES, later=st.integers(0, COUNT))
def test_two_records_at_one_place_are_found_and_named(at: int, later: int) -> None:
    """However far apart they lie."""
    forged = decision_bytes(decided("other", Outcome.PASS, at_ns=77))
    link = link_at(at, forged)
    records = list(RECORDS)
    records.insert(min(COUNT, at + 1 + later), LedgerRecord(forged, link))
    assert named(verified(records)) == [("forked", at + 1, "other")]


@given(at=PLACES, later=st.integers(0, COUNT), byte=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_repeated_record_whose_decision_was_changed_is_found_and_named(
    at: int, later: int, byte: int, bit: int
) -> None:
    """The other one, in its place, is as it was."""
    decision = bytearray(RECORDS[at].decision)
    decision[byte % len(decision)] ^= 1 << bit
    behind = min(COUNT, at + 1 + later)
    verifier = Verifier()
    for index, record in enumerate([*RECORDS[:behind], RECORDS[at], *RECORDS[behind:]]):
        changed = replace(record, decision=bytes(decision)) if index == behind else record
        verifier.take(changed, entry_of(record.decision))
    assert named(verifier.findings()) == [("changed", at + 1, f"p{at + 1}")]


@given(part_id=st.text(max_size=40), at_ns=st.integers(0, 2**63 - 1), origin=st.text(max_size=60))
def test_a_record_comes_back_from_its_message_and_its_journal_body(part_id: str, at_ns: int, origin: str) -> None:
    """Byte for byte, so that its hash still fits; a decision without a link too."""
    decision = decided(part_id, Outcome.REJECT, at_ns=at_ns)
    data = decision_bytes(decision)
    for link in (None, first_link(data, began_ns=at_ns, origin=origin)):
        record = LedgerRecord(data, link)
        assert from_message(to_message(record)) == record
        assert from_body(to_body(record)) == record
