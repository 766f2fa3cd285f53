"""Where trends read parts from, and what the command prints of them."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from alerting.line_journal import LineJournal
from alerting.trends.reading import read_journal, read_shift, read_topic, seconds_of
from alerting.trends.report import trends_of
from deploy.cli import app
from deploy.collecting import uncollected
from deploy.trends_work import LedgerHistory, has_ledger
from shared.bus.memory import MemoryBus
from shared.clock import NS_PER_MS, NS_PER_S, ManualClock, SystemClock
from shared.domain import CameraFinding, Decision, Outcome, VerdictStatus
from shared.errors import ConfigError
from shared.ledger.chain import LedgerRecord, decision_bytes, first_link, next_link
from shared.ledger.journal import files_of
from shared.ledger.message import to_message
from shared.plan_keeper import PlanKeeper
from shared.settings import from_dict
from shared.store.base import Feed
from tests.lines import CAMERA, LINE, T0_NS, line_settings, topics_for
from tests.stores import embedded_store

GOOD_SCORES = -np.log10(np.random.default_rng(5).uniform(0, 1, 997))


def decision(number: int, *, at_ns: int, defective: bool = False) -> Decision:
    """Decide a part as a real line does: every field filled."""
    score = 6.0 if defective else float(GOOD_SCORES[number % GOOD_SCORES.size])
    place = (0.9, 0.1) if defective else None
    finding = CameraFinding(CAMERA, VerdictStatus.INSPECTED, None, score, score, "lite-0123", "c1", place=place)
    outcome = Outcome.REJECT if defective else Outcome.PASS
    stamps = {name: at_ns + step * NS_PER_MS for step, name in enumerate(("published", "received", "signalled"), 40)}
    return Decision(
        LINE, f"part-{number}", outcome, "all scores < 3", 3.0, (finding,), at_ns, at_ns + NS_PER_S, at_ns, None, stamps
    )


def shift_of(count: int, *, began_ns: int = T0_NS, every: int = 20) -> list[Decision]:
    """Decide so many parts, ten a second, every so many of them defective."""
    return [
        decision(number, at_ns=began_ns + number * NS_PER_S // 10, defective=number % every == 0)
        for number in range(count)
    ]


def records(decisions: list[Decision]) -> list[LedgerRecord]:
    """Return the ledger's records of decisions."""
    made: list[LedgerRecord] = []
    for one in decisions:
        data = decision_bytes(one)
        before = made[-1].link if made else None
        link = first_link(data, began_ns=1, origin="a test") if before is None else next_link(before, data)
        made.append(LedgerRecord(data, link))
    return made


def write_journal(folder: Path, decisions: list[Decision], *, rotate_bytes: int = 100_000) -> None:
    """Write decisions as a journal."""
    journal = LineJournal(folder / LINE, rotate_bytes=rotate_bytes)
    journal.open()
    for record in records(decisions):
        journal.append(record)
    journal.close()


async def test_the_shift_is_read_from_the_store() -> None:
    """Its parts alone, and whether those are all that it counted."""
    store = embedded_store()
    (line,) = line_settings().lines
    day_ns = 86_400 * NS_PER_S
    yesterday = shift_of(5, began_ns=T0_NS - day_ns)
    today = [replace(one, part_id=f"new-{one.part_id}") for one in shift_of(10)]
    for one in (*yesterday, *today):
        await store.settle(one, latency_ms=None)
    read = await read_shift(store, line, T0_NS)
    assert (len(read.parts), read.whole, read.counters and read.counters.settled) == (10, True, 10)
    assert read.shift == line.shift_times().at(T0_NS).name
    store.data.line(LINE).feeds[Feed.DECISIONS].trim(4)
    cut = await read_shift(store, line, T0_NS)
    assert (len(cut.parts), cut.whole) == (4, False)
    await store.close()


async def test_the_topic_is_read_back_to_an_instant() -> None:
    """Repeated records once, messages that are none not at all, and it says when older ones are gone."""
    settings = line_settings()
    bus = MemoryBus(ManualClock())
    plan = await topics_for(settings, bus)
    decisions = shift_of(20)
    for record in [*records(decisions), *records(decisions)[:5]]:
        await bus.publish(settings.topics.decisions, to_message(record), key=b"k", partition=0)
    await bus.publish(settings.topics.decisions, b"nonsense", key=b"k", partition=0)
    whole = await read_topic(bus, settings.topics, plan, LINE, since_ns=0)
    assert (len(whole.parts), whole.whole) == (20, True)
    some = await read_topic(bus, settings.topics, plan, LINE, since_ns=decisions[15].captured_at_ns)
    assert (len(some.parts), some.whole) == (5, True)
    await bus.close()


def test_the_journal_is_read_back_to_an_instant(tmp_path: Path) -> None:
    """Over all of its files; without the first it says that older parts are gone, unless it reaches far enough."""
    decisions = shift_of(200)
    write_journal(tmp_path, decisions, rotate_bytes=10_000)
    files = files_of(tmp_path / LINE)
    assert len(files) > 3
    assert len(read_journal(tmp_path, LINE, since_ns=0).parts) == 200
    assert len(read_journal(tmp_path, LINE, since_ns=decisions[150].captured_at_ns).parts) == 50
    damaged = bytearray(files[1].read_bytes())
    damaged[len(damaged) // 2] ^= 1
    files[1].write_bytes(bytes(damaged))
    assert len(read_journal(tmp_path, LINE, since_ns=0).parts) == 199
    files[0].unlink()
    assert not read_journal(tmp_path, LINE, since_ns=0).whole
    assert read_journal(tmp_path, LINE, since_ns=decisions[150].captured_at_ns).whole
    with pytest.raises(ConfigError, match="no journal of line 'other'"):
        read_journal(tmp_path, "other", since_ns=0)


async def test_of_more_than_may_be_read_the_newest_are() -> None:
    """And it says so; a console bounds what a question may cost."""
    settings = line_settings()
    bus = MemoryBus(ManualClock())
    plan = await topics_for(settings, bus)
    for record in records(shift_of(20)):
        await bus.publish(settings.topics.decisions, to_message(record), key=b"k", partition=0)
    read = await read_topic(bus, settings.topics, plan, LINE, since_ns=0, most=7)
    assert (len(read.parts), read.whole) == (7, False)
    assert read.parts.captured_ns[-1] == shift_of(20)[-1].captured_at_ns
    await bus.close()


async def test_a_console_reads_the_ledger_that_its_settings_name(tmp_path: Path) -> None:
    """A journal with an embedded bus, the topic with another one, and neither where there is none."""
    decisions = shift_of(30)
    write_journal(tmp_path, decisions)
    line = {"name": LINE, "cameras": [{"name": CAMERA}]}
    embedded = from_dict({"alerting": {"journal": tmp_path}, "lines": [line]}, origin="the test")
    assert has_ledger(embedded)
    assert not has_ledger(from_dict({"lines": [line]}, origin="the test"))
    bus, store = MemoryBus(ManualClock()), embedded_store()
    read = await LedgerHistory(embedded, bus, store).read(LINE, since_ns=decisions[10].captured_at_ns, most=5)
    assert (read.source, len(read.parts), read.whole) == ("journal", 5, False)
    kafka = from_dict({"bus": {"url": "kafka://127.0.0.1:9092"}, "lines": [line]}, origin="the test")
    assert has_ledger(kafka)
    with pytest.raises(ConfigError, match="never ran on this bus"):
        await LedgerHistory(kafka, bus, store).read(LINE, since_ns=0)
    plan = await PlanKeeper(store, kafka.topics).grow(kafka.wanted)
    await bus.ensure_topics(plan.partitions(kafka.topics))
    for record in records(decisions):
        await bus.publish(kafka.topics.decisions, to_message(record), key=b"k", partition=plan.of_line(LINE))
    read = await LedgerHistory(kafka, bus, store).read(LINE, since_ns=0)
    assert (read.source, len(read.parts), read.whole) == ("decisions topic", 30, True)
    await bus.close()
    await store.close()


async def test_the_shift_is_read_in_pages() -> None:
    """However many parts there are, and not beyond the shift's beginning."""
    store = embedded_store()
    (line,) = line_settings().lines
    for number in range(2_500):
        await store.settle(decision(number, at_ns=T0_NS + number * NS_PER_MS), latency_ms=None)
    read = await read_shift(store, line, T0_NS)
    assert (len(read.parts), read.whole) == (2_500, True)
    await store.close()


def test_a_hundred_thousand_decisions_take_a_moment(tmp_path: Path) -> None:
    """Read from a journal and looked at: about two seconds where nothing else runs, and here far less than ten."""
    write_journal(tmp_path, shift_of(100_000), rotate_bytes=64_000_000)
    began = time.process_time()
    with uncollected():
        read = read_journal(tmp_path, LINE, since_ns=0)
    found = trends_of(read.parts)
    assert time.process_time() - began < 10.0
    assert (found.parts, found.rejected) == (100_000, 5_000)


def run(*arguments: object) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, ["trends", *map(str, arguments)], catch_exceptions=False)


def config_of(tmp_path: Path, text: str = "") -> Path:
    """Write settings whose journal is beside them."""
    path = tmp_path / "line.toml"
    journal = f'[alerting]\njournal = "{tmp_path / "journal"}"\n'
    path.write_text(f'{text or journal}[[lines]]\nname = "{LINE}"\n')
    return path


def test_the_command_shows_rates_drift_places_and_delays(tmp_path: Path) -> None:
    """As tables and as JSON."""
    now_ns = SystemClock().utc_ns()
    write_journal(tmp_path / "journal", shift_of(600, began_ns=now_ns - 100 * NS_PER_S))
    out = tmp_path / "trends.json"
    done = run(LINE, "--config", config_of(tmp_path), "--since", "1h", "--json", out)
    assert done.exit_code == 0, done.output
    for text in ("600 parts", "5.00%", "stable", "camera: top right", "p99 ms", "42.0"):
        assert text in done.output, text
    found = json.loads(out.read_text(encoding="utf-8"))
    assert (found["parts"], found["rejected"], found["defaulted"]) == (600, 30, 0)
    assert found["by_place"] == [{"name": "camera: top right", "count": 30, "share": 1.0, "running": 1.0}]
    assert not found["drifts"][0]["drifted"]
    assert found["whole"] is True
    assert found["source"] == "journal"


def test_a_time_without_parts_is_told(tmp_path: Path) -> None:
    """And is no error."""
    write_journal(tmp_path / "journal", shift_of(10))
    done = run(LINE, "--config", config_of(tmp_path), "--since", "90m")
    assert done.exit_code == 0
    assert "0 parts, nothing" in done.output


@pytest.mark.parametrize(
    ("arguments", "text", "says"),
    [
        ((LINE, "--since", "soon"), "", "no length of time"),
        ((LINE, "--since", "1h", "--shift"), "", "two different"),
        ((LINE,), "", "lives in the process"),
        (("other", "--since", "1h"), "", "no line 'other'"),
        ((LINE, "--since", "1h"), "[log]\n", "alerting.journal is not set"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path: Path, arguments: tuple[str, ...], text: str, says: str) -> None:
    """With what can."""
    with pytest.raises(ConfigError, match=says):
        run(*arguments, "--config", config_of(tmp_path, text))


def test_lengths_of_time_are_read() -> None:
    """In minutes, hours and days."""
    assert [seconds_of(text) for text in ("90m", "8h", "7d")] == [5_400, 28_800, 604_800]
