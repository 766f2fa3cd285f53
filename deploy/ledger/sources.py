"""Where a ledger's records lie: a journal on a disk, or the `decisions` topic; each reader is told all of them once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Protocol

from shared.bus.base import Bus, Record
from shared.errors import ConfigError, WireError
from shared.ledger.chain import LedgerRecord
from shared.ledger.journal import Piece, files_of, lines_in, read
from shared.ledger.message import Entry, entry_of, from_body, from_message, part_in
from shared.partition_plan import PartitionPlan
from shared.policy_record import PolicyChange
from shared.topics import Topics
from shared.wire import kind_of


class Reader(Protocol):
    """Takes what lies there, in its order."""

    def take(self, record: LedgerRecord, entry: Entry, lies_at: str) -> None:
        """Take a record."""
        ...

    def unreadable(self, line: str, text: str, *, part_id: str, lies_at: str) -> None:
        """Take note of bytes that are no record."""
        ...

    def begins_late(self, line: str) -> None:
        """Take note that older records of the line were taken away."""
        ...


def journal_lines(folder: Path) -> list[str]:
    """Return the lines of a journal; `ConfigError` for a folder that holds none."""
    lines = lines_in(folder) if folder.is_dir() else []
    if not lines:
        raise ConfigError(f"{str(folder)!r} is no journal", "Give the folder that alerting.journal names.")
    return lines


def read_journal(folder: Path, readers: Sequence[Reader]) -> None:
    """Tell `readers` all that a journal holds."""
    for line in journal_lines(folder):
        files = files_of(folder / line)
        if int(files[0].stem) > 1:
            for reader in readers:
                reader.begins_late(line)
        for path in files:
            _read_file(path, line, readers)


def _read_file(path: Path, line: str, readers: Sequence[Reader]) -> None:
    for piece in read(path):
        lies_at = f"{line}/{path.name} at {piece.start}"
        try:
            record, entry = _record(piece)
        except WireError as error:
            with path.open("rb") as file:
                file.seek(piece.start)
                part_id = part_in(file.read(piece.end - piece.start))
            for reader in readers:
                reader.unreadable(line, str(error), part_id=part_id, lies_at=lies_at)
            continue
        for reader in readers:
            reader.take(record, entry, lies_at)


def _record(piece: Piece) -> tuple[LedgerRecord, Entry]:
    if piece.body is None:
        raise WireError(f"{piece.end - piece.start} bytes cannot be read: one was changed, or the end was cut")
    record = from_body(piece.body)
    return record, entry_of(record.decision)


async def read_topic(
    bus: Bus, topics: Topics, plan: PartitionPlan, lines: Sequence[str], readers: Sequence[Reader]
) -> None:
    """Tell `readers` all that the `decisions` topic holds of `lines`."""
    for line in lines:
        partition = plan.of_line(line)
        first = True
        async with aclosing(bus.history(topics.decisions, partition)) as messages:
            async for message in messages:
                if first and message.offset > 0:
                    for reader in readers:
                        reader.begins_late(line)
                first = False
                _take_message(message, line, readers)


def _take_message(message: Record, line: str, readers: Sequence[Reader]) -> None:
    if kind_of(message.value) is PolicyChange:
        return
    lies_at = f"{message.topic}/{message.partition} at {message.offset}"
    try:
        record = from_message(message.value)
        entry = entry_of(record.decision)
    except WireError as error:
        key_line, _, part_id = (message.key or b"").decode(errors="replace").partition("/")
        for reader in readers:
            reader.unreadable(key_line or line, str(error), part_id=part_id or part_in(message.value), lies_at=lies_at)
        return
    for reader in readers:
        reader.take(record, entry, lies_at)
