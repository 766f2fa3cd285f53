"""`linewarden ledger verify` and `report` on a journal: what they print, count and exit with."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from alerting.line_journal import LineJournal
from deploy.cli_ledger import ledger
from deploy.ledger.sources import read_topic
from deploy.ledger.tally import Tally
from shared.bus.memory import MemoryBus
from shared.clock import NS_PER_S, ManualClock
from shared.domain import Outcome
from shared.errors import ConfigError
from shared.ledger.chain import LedgerRecord, decision_bytes, next_link
from shared.ledger.journal import files_of, read
from shared.ledger.message import entry_of, to_message
from shared.ledger.verifier import Verifier
from shared.shifts import Shifts, zone_of
from tests.ledgers import chain, named
from tests.lines import LINE, T0_NS, announcement, decided, line_settings, topics_for

MIB = 1024 * 1024
DAY = Shifts((), zone_of("UTC"))


def write(folder: Path, records: list[LedgerRecord], *, line: str = LINE) -> None:
    """Write a line's journal, several files long."""
    journal = LineJournal(folder / line, rotate_bytes=1_000)
    journal.open()
    for record in records:
        journal.append(record)
    journal.close()


def run(*arguments: object) -> Result:
    """Run a command of the ledger's."""
    return CliRunner().invoke(ledger, [str(argument) for argument in arguments])


def flip(folder: Path, number: int) -> None:
    """Flip a bit of the line's record of this number."""
    count = 0
    for path in files_of(folder / LINE):
        for piece in read(path):
            count += 1
            if count == number:
                data = bytearray(path.read_bytes())
                data[piece.end - 1] ^= 1
                path.write_bytes(data)
                return


def test_a_whole_journal_is_verified(tmp_path: Path) -> None:
    """Over all files and lines, with the end of each chain to write down."""
    write(tmp_path, chain(20))
    write(tmp_path, chain(3, line="other"), line="other")
    done = run("verify", tmp_path, "--json", tmp_path / "found.json")
    assert (done.exit_code, "23 records, 0 of them repeated: every chain is whole." in done.stdout) == (0, True)
    found = json.loads((tmp_path / "found.json").read_text())
    assert [(end["line"], end["sequence"]) for end in found["ends"]] == [(LINE, 20), ("other", 3)]


def test_a_flipped_byte_is_named_with_line_sequence_and_part(tmp_path: Path) -> None:
    """And where it lies; the exit code says that something is wrong."""
    write(tmp_path, chain(20))
    flip(tmp_path, 7)
    done = run("verify", tmp_path)
    assert done.exit_code == 1
    assert f"fault: line {LINE}, record 7 (part p7): unreadable" in done.stdout
    assert f"[{LINE}/0000000" in done.stdout


def test_a_journal_that_was_cut_shows_against_an_earlier_verification(tmp_path: Path) -> None:
    """Nothing in the rest could tell; as long as nothing is cut it goes on being whole."""
    folder, anchor = tmp_path / "journal", tmp_path / "found.json"
    write(folder, chain(20))
    assert run("verify", folder, "--json", anchor).exit_code == 0
    write(folder, chain(25)[20:])
    assert run("verify", folder, "--against", anchor).exit_code == 0
    for path in files_of(folder / LINE)[3:]:
        path.unlink()
    assert run("verify", folder).exit_code == 0
    done = run("verify", folder, "--against", anchor)
    assert (done.exit_code, f"line {LINE}, record 20: missing" in done.stdout) == (1, True)


def test_a_journal_whose_oldest_files_were_archived_is_whole(tmp_path: Path) -> None:
    """That older records are not there is said; a hole between files is a fault."""
    write(tmp_path, chain(20))
    files = files_of(tmp_path / LINE)
    files[0].unlink()
    done = run("verify", tmp_path)
    assert (done.exit_code, "are not there any more" in done.stdout) == (0, True)
    files[3].unlink()
    assert run("verify", tmp_path).exit_code == 1


def test_parts_are_reported_by_line_shift_and_product(tmp_path: Path) -> None:
    """A part that is there again counts once; one with a second record of its own does not balance."""
    folder, out, config = tmp_path / "journal", tmp_path / "rows.json", tmp_path / "line.toml"
    config.write_text(
        f'[alerting]\njournal = "{folder}"\n[[lines]]\nname = "{LINE}"\n'
        'shifts = ["06:00", "14:00", "22:00"]\ntime_zone = "Europe/Berlin"\n'
    )
    records = chain(9)  # on 2023-11-14 at 22:13 UTC, 23:13 in Berlin
    write(folder, [*records, records[-1]])
    done = run("report", "--config", config, "--json", out)
    (row,) = json.loads(out.read_text())["rows"]
    assert (done.exit_code, row["line"], row["shift"], row["product"]) == (0, LINE, "2023-11-14 22:00", "")
    assert (row["parts_in"], row["passed"], row["rejected"], row["defaulted"]) == (9, 3, 3, 3)
    assert records[-1].link is not None
    again = decision_bytes(replace(decided("p9", Outcome.PASS, at_ns=T0_NS + 9), product="other"))
    write(folder, [LedgerRecord(again, next_link(records[-1].link, again))])
    done = run("report", "--config", config, "--json", out)
    assert done.exit_code == 1
    assert [row["twice"] for row in json.loads(out.read_text())["rows"]] == [0, 1]


@pytest.mark.parametrize("text", ["", '[bus]\nurl = "memory://"\n'])
def test_what_is_no_ledger_is_refused(tmp_path: Path, text: str) -> None:
    """With what to give instead."""
    config = tmp_path / "line.toml"
    config.write_text(text)
    for arguments in (("--config", config), (tmp_path / "absent",), ()):
        with pytest.raises(ConfigError, match=r"journal"):
            CliRunner().invoke(ledger, ["verify", *map(str, arguments)], catch_exceptions=False)


def test_announced_parts_without_a_record_are_told() -> None:
    """Those that may still be decided are open; cameras that announce one part at different times make one part."""
    tally = Tally({}, default=DAY)
    records = chain(2)
    for record in records:
        tally.take(record, entry_of(record.decision))
    now_ns = T0_NS + 100 * NS_PER_S
    for part, at_ns in (("p1", 1), ("p2", 2), ("p2", NS_PER_S), ("lost", 0), ("lost", 5), ("open", 95 * NS_PER_S)):
        tally.announced(announcement(part, at_ns=T0_NS + at_ns), now_ns=now_ns, within_ns=10 * NS_PER_S, product="")
    (row,) = tally.rows()
    assert (row.parts_in, row.undecided, row.open, row.balanced) == (4, 1, 1, False)


async def test_a_topic_is_verified_as_it_lies() -> None:
    """A message that cannot be read is named by its key, and lines of the settings alone are read."""
    settings = line_settings(lines=2)
    bus = MemoryBus(ManualClock())
    plan = await topics_for(settings, bus)
    for line in ("line-1", "line-2"):
        for number, record in enumerate(chain(5, line=line), start=1):
            value = to_message(record)
            if (line, number) == ("line-2", 3):
                value = value[:-1] + bytes([value[-1] ^ 1])
            key = f"{line}/p{number}".encode()
            await bus.publish(settings.topics.decisions, value, key=key, partition=plan.of_line(line))
    verifier = Verifier()
    await read_topic(bus, settings.topics, plan, ["line-1", "line-2"], [verifier])
    found = verifier.findings()
    assert named(found) == [("unreadable", 3, "p3")]
    assert found.faults[0].lies_at == f"{settings.topics.decisions}/1 at 2"
