"""The journal on a disk: what a kill, a full disk, damage and growth leave of it."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerting.journal import Journal
from alerting.line_journal import LineJournal
from shared.clock import ManualClock
from shared.errors import ConfigError
from shared.ledger.chain import LedgerRecord
from shared.ledger.journal import files_of, lines_in, pieces, read
from shared.ledger.message import from_body
from tests.ledgers import chain
from tests.lines import LINE, REALLY_S

MIB = 1024 * 1024
RECORDS = chain(8)


def written(folder: Path, records: Sequence[LedgerRecord], *, rotate_bytes: int = MIB) -> LineJournal:
    """Open a journal and put records into it."""
    journal = LineJournal(folder, rotate_bytes=rotate_bytes)
    journal.open()
    for record in records:
        journal.append(record)
    return journal


def held(folder: Path) -> list[LedgerRecord | None]:
    """Return what the files of a line hold, None for damage."""
    found = [piece.body for path in files_of(folder) for piece in read(path)]
    return [None if body is None else from_body(body) for body in found]


def test_records_come_back_over_all_files(tmp_path: Path) -> None:
    """In their order; a file begins anew before it is too large, and nothing is ever taken away."""
    folder = tmp_path / LINE
    for record in RECORDS:
        written(folder, [record], rotate_bytes=700).close()
    assert held(folder) == RECORDS
    files = files_of(folder)
    assert len(files) > 3
    assert all(path.stat().st_size <= 700 for path in files)
    assert lines_in(tmp_path) == [LINE]
    journal = LineJournal(folder, rotate_bytes=700)
    assert journal.open().newest == RECORDS[-1]
    journal.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(cut=st.integers(0, 10_000))
def test_a_torn_record_is_cut_and_said_wherever_it_was_torn(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    """Whole records before it stay, and the next record follows them."""
    folder = tmp_path_factory.mktemp("journal") / LINE
    written(folder, RECORDS[:3]).close()
    (path,) = files_of(folder)
    ends = [piece.end for piece in read(path)]
    cut = cut % ends[-1]
    os.truncate(path, cut)
    whole = sum(end <= cut for end in ends)
    journal = LineJournal(folder, rotate_bytes=MIB)
    found = journal.open()
    assert found.newest == (RECORDS[whole - 1] if whole else None)
    assert (found.cut_bytes, found.damaged) == (cut - ([0, *ends][whole]), False)
    journal.append(RECORDS[whole])
    journal.close()
    assert held(folder) == RECORDS[: whole + 1]


def test_zeros_that_a_power_cut_left_are_cut(tmp_path: Path) -> None:
    """A file may have grown before what was written to it reached the disk."""
    folder = tmp_path / LINE
    written(folder, RECORDS[:2]).close()
    (path,) = files_of(folder)
    path.write_bytes(path.read_bytes() + bytes(100))
    journal = LineJournal(folder, rotate_bytes=MIB)
    found = journal.open()
    assert (found.newest, found.cut_bytes) == (RECORDS[1], 100)
    journal.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(byte=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_flipped_bit_costs_one_record(tmp_path_factory: pytest.TempPathFactory, byte: int, bit: int) -> None:
    """The others are read on both sides of it, and the next run changes nothing of the evidence."""
    folder = tmp_path_factory.mktemp("journal") / LINE
    written(folder, RECORDS[:4]).close()
    (path,) = files_of(folder)
    data = bytearray(path.read_bytes())
    ends = [piece.end for piece in pieces(bytes(data))]
    byte %= ends[2]  # the last record of a file may as well be torn
    data[byte] ^= 1 << bit
    path.write_bytes(data)
    lost = next(index for index, end in enumerate(ends) if byte < end)
    expected: list[LedgerRecord | None] = list(RECORDS[:4])
    expected[lost] = None
    assert held(folder) == expected
    written(folder, [RECORDS[4]]).close()
    assert held(folder) == [*expected, RECORDS[4]]


def test_a_last_record_that_is_damaged_and_not_torn_is_kept(tmp_path: Path) -> None:
    """It is evidence: the next record begins a new file."""
    folder = tmp_path / LINE
    written(folder, RECORDS[:2]).close()
    (path,) = files_of(folder)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    journal = LineJournal(folder, rotate_bytes=MIB)
    found = journal.open()
    assert (found.newest, found.cut_bytes, found.damaged) == (RECORDS[0], 0, True)
    journal.append(RECORDS[2])
    journal.close()
    assert held(folder) == [RECORDS[0], None, RECORDS[2]]
    assert path.read_bytes() == bytes(data)


def test_a_journal_has_one_writer(tmp_path: Path) -> None:
    """A second process is told so before it writes anything; when the first is gone it may."""
    journal = written(tmp_path / LINE, RECORDS[:1])
    second = LineJournal(tmp_path / LINE, rotate_bytes=MIB)
    with pytest.raises(ConfigError, match="another process"):
        second.open()
    journal.close()
    assert second.open().newest == RECORDS[0]
    second.close()


class FullDisk:
    """A disk that takes `room_bytes` more, and of a write that is larger only its beginning."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room_bytes: int) -> None:
        self.room_bytes = room_bytes
        self._write = os.write
        monkeypatch.setattr(os, "write", self.write)

    def write(self, file: int, data: bytes) -> int:
        """Write what fits."""
        if not self.room_bytes and data:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = self._write(file, data[: self.room_bytes])
        self.room_bytes -= done
        return done


def test_a_full_disk_leaves_no_half_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is written whole or not at all, and again once there is room."""
    journal = written(tmp_path / LINE, RECORDS[:2])
    disk = FullDisk(monkeypatch, room_bytes=100)
    for _ in range(2):
        with pytest.raises(OSError, match="No space"):
            journal.append(RECORDS[2])
    disk.room_bytes = MIB
    journal.append(RECORDS[2])
    journal.close()
    assert held(tmp_path / LINE) == RECORDS[:3]


class Journals:
    """A journal of one line that is being written, on a clock turned by hand."""

    def __init__(self, folder: Path, *, most: int = 100) -> None:
        self.clock = ManualClock()
        self.folder = folder
        self.journal = Journal(folder, [LINE], clock=self.clock, rotate_bytes=MIB, sync_s=0.2, held=most)
        self.journal.open()
        self._running = asyncio.create_task(self.journal.run())

    async def append(self, *records: LedgerRecord) -> None:
        """Put records in, letting time go by for the disk."""
        for record in records:
            await self.until(asyncio.create_task(self.journal.append(LINE, record)))

    async def until(self, step: asyncio.Task[None]) -> None:
        """Turn the clock until a step is done."""
        async with asyncio.timeout(REALLY_S):
            while not step.done():
                await self.clock.advance(0.01)
        await step

    def failing(self) -> bool:
        """Return whether the disk takes nothing."""
        return self.journal.failing

    async def stop(self) -> None:
        """End it in order."""
        self._running.cancel()
        await asyncio.wait({self._running})


async def test_a_journal_goes_on_where_the_last_run_ended(tmp_path: Path) -> None:
    """The newest record is known before anything is written."""
    first = Journals(tmp_path)
    assert first.journal.newest(LINE) is None
    await first.append(*RECORDS[:3])
    assert held(tmp_path / LINE) == RECORDS[:3]
    await first.stop()
    second = Journals(tmp_path)
    assert second.journal.newest(LINE) == RECORDS[2]
    await second.append(RECORDS[3])
    await second.stop()
    assert held(tmp_path / LINE) == RECORDS[:4]


async def test_a_full_disk_holds_up_nobody_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records are held, in order, and written once there is room."""
    disk = FullDisk(monkeypatch, room_bytes=100 * MIB)
    journals = Journals(tmp_path)
    await journals.append(RECORDS[0])
    disk.room_bytes = 10
    await journals.append(*RECORDS[1:7])
    assert journals.failing()
    assert held(tmp_path / LINE) == RECORDS[:1]
    disk.room_bytes = MIB
    async with asyncio.timeout(REALLY_S):
        while journals.failing():
            await journals.clock.advance(0.1)
    await journals.append(RECORDS[7])
    assert held(tmp_path / LINE) == RECORDS
    await journals.stop()


async def test_of_too_many_held_records_the_oldest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The verifier will name them; memory is bounded."""
    disk = FullDisk(monkeypatch, room_bytes=0)
    journals = Journals(tmp_path, most=3)
    await journals.append(*RECORDS)
    disk.room_bytes = MIB
    await journals.stop()
    assert held(tmp_path / LINE) == RECORDS[5:]


async def test_a_folder_that_cannot_be_one_is_refused(tmp_path: Path) -> None:
    """Before the line starts."""
    (tmp_path / "file").write_text("no folder")
    journal = Journal(tmp_path / "file", [LINE], clock=ManualClock(), rotate_bytes=MIB, sync_s=0.2)
    with pytest.raises(ConfigError, match=r"alerting\.journal"):
        journal.open()
