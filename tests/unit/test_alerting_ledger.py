"""The alerting service's records form one chain for each line, through outages, restarts and a store that is lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from deploy.ledger.sources import read_journal
from shared.domain import Outcome
from shared.ledger.chain import LedgerRecord, decision_bytes, next_link
from shared.ledger.faults import Findings
from shared.ledger.message import entry_of, from_message, to_message
from shared.ledger.verifier import Verifier
from shared.wire import encode
from tests.ledgers import chain, named
from tests.lines import LINE, Plant, decided, read_all, running, topics_for

GOOD, BAD = 0.5, 5.0


async def records(plant: Plant) -> list[LedgerRecord]:
    """Return what lies on the topic."""
    return [from_message(record.value) for record in await read_all(plant.bus, plant.topics.decisions)]


async def findings(plant: Plant) -> Findings:
    """Return what a verifier says of the topic."""
    verifier = Verifier()
    for record in await records(plant):
        verifier.take(record, entry_of(record.decision))
    return verifier.findings()


async def make(plant: Plant, *parts: str) -> None:
    """Let good parts run over the line."""
    for part in parts:
        await plant.announce(part)
        await plant.say(part, GOOD)
        await plant.run(0.1)


async def test_the_parts_of_a_line_are_one_chain() -> None:
    """From its first record, which says why a chain begins; a reader that does not know it reads the decisions."""
    async with running(Plant()) as plant:
        await make(plant, *(f"p{number}" for number in range(5)))
        found = await findings(plant)
        assert (found.faults, found.records, found.ends[0].sequence) == ((), 5, 5)
        assert found.notes == (
            f"line {LINE}: a chain begins with part p0: store and topic hold no earlier record of this line",
        )
        assert [decision.part_id for decision in await plant.published()] == [f"p{number}" for number in range(5)]


@pytest.mark.parametrize("operation", ["settle", "settle answer", "published", "ledger_head"])
async def test_an_outage_in_the_middle_of_recording_breaks_nothing(operation: str) -> None:
    """Nor does an answer of the store that is lost, after which nobody knows whether the step was done."""
    async with running(Plant()) as plant:
        await make(plant, "p0")
        plant.store.fails_once.add(operation)
        await make(plant, "p1", "p2")
        await plant.run(2)
        found = await findings(plant)
        assert (found.faults, found.ends[0].sequence) == ((), 3)


@pytest.mark.parametrize("operation", ["settle", "settle answer", "published"])
async def test_a_kill_in_the_middle_of_recording_breaks_nothing(operation: str) -> None:
    """What was settled and never published is published before the record that follows it."""
    async with running(Plant()) as plant:
        await make(plant, "p0")
        plant.store.fails_once.add(operation)
        await make(plant, "p1")
        await plant.kill()
        plant.store.fails_once.clear()
        await plant.start()
        await make(plant, "p2")
        await plant.run(2)
        found = await findings(plant)
        assert (found.faults, found.ends[0].sequence) == ((), 3)
        assert set(await plant.outcomes()) == {"p0", "p1", "p2"}


async def test_a_settled_part_is_published_again_byte_for_byte() -> None:
    """As it was kept, even where this version would write the decision otherwise: its hash would not fit."""
    async with running(Plant()) as plant:
        await plant.announce("p0")
        await plant.say("p0", GOOD)
        while not (lying := await records(plant)):
            await plant.clock.advance(0.001)
        (first,) = lying
        await plant.kill()
        newer = msgspec.msgpack.encode({**msgspec.msgpack.decode(first.decision), "later": 1})
        part = plant.store.data.line(LINE).parts.get("p0")
        assert part is not None
        part.claim = newer
        await plant.start()
        assert await records(plant) == [first, replace(first, decision=newer)]


async def test_a_store_that_is_lost_loses_no_place() -> None:
    """Emptied while the service runs, or while it is down: the chain goes on from the newest record of the topic."""
    async with running(Plant()) as plant:
        await make(plant, "p0", "p1")
        plant.store.data.clear()
        await make(plant, "p2", "p3")
        await plant.kill()
        plant.store.data.clear()
        await plant.start()
        await make(plant, "p4")
        await plant.run(2)
        found = await findings(plant)
        assert (found.faults, len(found.ends)) == ((), 1)
        assert found.ends[0].sequence >= 5


async def test_a_store_that_was_set_back_puts_no_second_record_at_a_place() -> None:
    """Its newest record is older than the topic's, as after a restart from an old copy."""
    async with running(Plant()) as plant:
        await make(plant, "p0")
        line = plant.store.data.line(LINE)
        old = line.ledger
        await make(plant, "p1", "p2")
        await plant.kill()
        line.ledger = old
        await plant.start()
        await make(plant, "p3")
        await plant.run(1)
        found = await findings(plant)
        assert (found.faults, found.ends[0].sequence) == ((), 4)


async def test_a_process_follows_one_that_recorded_meanwhile() -> None:
    """The other settled a part and is gone: it is published before what follows it."""
    async with running(Plant()) as plant:
        await make(plant, "p0", "p1")
        head = await plant.store.ledger_head(LINE)
        assert head is not None
        assert head.link is not None
        foreign = decided("foreign", Outcome.REJECT)
        link = next_link(head.link, decision_bytes(foreign))
        await plant.store.settle(foreign, latency_ms=None, link=link, instead_of=head.link)
        await make(plant, "p2")
        assert [entry_of(record.decision).part_id for record in await records(plant)] == ["p0", "p1", "foreign", "p2"]
        assert (await findings(plant)).faults == ()


async def test_a_chain_that_nothing_is_left_of_begins_anew_and_says_so() -> None:
    """Decisions from before the ledger are counted, and a chain of another line is not taken up."""
    plant = Plant()
    await topics_for(plant.settings, plant.bus)
    for number in range(3):
        await plant.put(plant.topics.decisions, encode(decided(f"old-{number}", Outcome.PASS)))
    await plant.put(plant.topics.decisions, to_message(chain(1, line="other")[0]))
    await plant.put(plant.topics.decisions, b"damage")
    async with running(plant):
        await make(plant, "p0")
        newest = (await read_all(plant.bus, plant.topics.decisions))[-1]
        link = from_message(newest.value).link
        assert link is not None
        assert (link.sequence, link.origin) == (
            1,
            "store and topic hold no earlier record of this line, and 3 decisions from before the ledger",
        )


async def test_restarts_at_any_time_leave_one_chain() -> None:
    """Killed every 70 ms over forty parts."""
    plant = Plant()
    await plant.start()
    for number in range(40):
        await plant.announce(f"p{number}")
        await plant.say(f"p{number}", BAD if number % 3 == 0 else GOOD)
        await plant.clock.advance(0.035)
        if number % 2:
            await plant.kill()
            await plant.start()
    await plant.run(3)
    found = await findings(plant)
    assert named(found) == []
    assert (len(found.ends), found.ends[0].sequence) == (1, 40)
    await plant.stop()
    await plant.store.close()


async def test_the_journal_carries_the_chain_over_the_end_of_an_embedded_line(tmp_path: Path) -> None:
    """Bus and store end with their process: the next one goes on where the journal ends."""
    for first in (0, 3):
        async with running(Plant(journal=tmp_path)) as plant:
            await make(plant, *(f"p{number}" for number in range(first, first + 3)))
            await plant.run(2)
            await plant.stop()
    verifier = Verifier()
    read_journal(tmp_path, [verifier])
    found = verifier.findings()
    assert (found.faults, found.records, len(found.ends), found.ends[0].sequence) == ((), 6, 1, 6)
    assert "store, topic and journal hold no earlier record" in found.notes[0]


async def test_the_product_of_the_line_is_in_its_record() -> None:
    """As its settings name it."""
    plant = Plant()
    line = plant.settings.lines[0].model_copy(update={"product": "M8 bolt"})
    plant.settings = plant.settings.model_copy(update={"lines": (line,)})
    async with running(plant):
        await make(plant, "p0")
        (record,) = await records(plant)
        assert entry_of(record.decision).product == "M8 bolt"
