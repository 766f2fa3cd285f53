"""The journal under what really happens to processes and disks: kill -9 at any time, and a file system that is full."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from alerting.journal import Journal
from deploy.faults.disk import Disk
from deploy.ledger.sources import read_journal
from shared.clock import SystemClock
from shared.ledger.verifier import Verifier
from tests.ledgers import chain
from tests.lines import LINE, REALLY_S, eventually

MIB = 1024 * 1024
KILLS = 12
ROOT = Path(__file__).parents[2]
CLOCK = SystemClock()
_WRITER = """
import asyncio, sys
from pathlib import Path
from alerting.journal import Journal
from shared.clock import SystemClock
from shared.domain import Decision, Outcome
from shared.ledger.chain import LedgerRecord, decision_bytes, first_link, next_link

async def main():
    journal = Journal(Path(sys.argv[1]), ["line-1"], clock=SystemClock(), rotate_bytes=20_000, sync_s=0.01)
    journal.open()
    running = asyncio.create_task(journal.run())
    newest = journal.newest("line-1")
    link = newest.link if newest else None
    while True:
        part = f"p{link.sequence + 1 if link else 1}"
        data = decision_bytes(Decision("line-1", part, Outcome.PASS, "good", 2.0, (), 1, 2, 3))
        link = next_link(link, data) if link else first_link(data, began_ns=1, origin="a test begins")
        await journal.append("line-1", LedgerRecord(data, link))
        print(link.sequence, flush=True)

asyncio.run(main())
"""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="a disk that can be full is mounted, which takes root")


def verified(folder: Path) -> Verifier:
    """Return a verifier that has read the journal."""
    verifier = Verifier()
    read_journal(folder, [verifier])
    return verifier


def test_a_journal_survives_kill_9_at_any_time(tmp_path: Path) -> None:
    """Each record that was said to be written is there, the chain is whole, and the next process goes on with it."""
    chance = random.Random(7)  # noqa: S311 - when to kill, nothing secret
    said = 0
    for _ in range(KILLS):
        before = said
        program = [sys.executable, "-c", _WRITER, str(tmp_path)]
        with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, cwd=ROOT) as writer:
            assert writer.stdout is not None
            for _ in range(chance.randrange(1, 60)):
                said = int(writer.stdout.readline())
            writer.kill()
            # The number that was printed last may have been cut by the kill itself.
            said = max([said, *(int(number) for number in writer.stdout.read().split()[:-1])])
        assert said > before
    journal = Journal(tmp_path, [LINE], clock=CLOCK, rotate_bytes=MIB, sync_s=1)
    journal.open()
    found = verified(tmp_path).findings()
    assert found.faults == ()
    assert found.ends[0].sequence >= said


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """Give a small file system."""
    with Disk(tmp_path / "disk") as mounted:
        yield mounted


@needs_root
async def test_a_full_file_system_stops_nobody_and_loses_nothing(disk: Disk) -> None:
    """Records are held while it is full, no half one stays in the file, and all are there once it has room."""
    records = chain(400)
    journal = Journal(disk.folder / "journal", [LINE], clock=CLOCK, rotate_bytes=MIB, sync_s=0.01)
    journal.open()
    running = asyncio.create_task(journal.run())
    async with asyncio.timeout(REALLY_S):
        for record in records[:100]:
            await journal.append(LINE, record)
        disk.fill()
        for record in records[100:300]:
            await journal.append(LINE, record)
        assert journal.failing
        assert verified(disk.folder / "journal").findings().faults == ()
        disk.free()
        await eventually(lambda: not journal.failing)
        for record in records[300:]:
            await journal.append(LINE, record)
    running.cancel()
    await asyncio.wait({running})
    found = verified(disk.folder / "journal").findings()
    assert (found.faults, found.records, found.ends[0].sequence) == ((), 400, 400)
