"""One line's journal as its one writer holds it: plain file work, which its owner does off the event loop."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.errors import ConfigError, WireError
from shared.ledger.chain import LedgerRecord
from shared.ledger.journal import SUFFIX, Piece, entry, files_of, read, torn
from shared.ledger.message import from_body, to_body

_DIGITS: Final = 8


@dataclass(frozen=True, slots=True)
class Found:
    """What the last run left: the newest record, how many bytes of a torn one were cut, and whether one is damaged."""

    newest: LedgerRecord | None = None
    cut_bytes: int = 0
    damaged: bool = False


class LineJournal:
    """Appends to the line's newest file, and begins the next one at `rotate_bytes`."""

    def __init__(self, folder: Path, *, rotate_bytes: int) -> None:
        self._folder = folder
        self._rotate_bytes = rotate_bytes
        self._lock: int | None = None
        self._file: int | None = None
        self._number = 0
        self._size = 0
        self._dirty = False

    def open(self) -> Found:
        """Cut what a kill left torn, and return what is there.

        Raises `ConfigError` where another process writes this journal, and OSError for a disk that takes nothing.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = self._locked()
        files = files_of(self._folder)
        if not files:
            return Found()
        newest, tail = _scan(files[-1])
        for older in reversed(files[:-1]):
            if newest is not None:
                break
            newest, _ = _scan(older)
        self._number = int(files[-1].stem)
        if tail is None:
            self._continue(files[-1])
            return Found(newest)
        with files[-1].open("rb") as file:
            file.seek(tail.start)
            cut = torn(file.read())
        if not cut:
            # Whatever this is, no kill leaves it: it stays for the verifier, and the next record begins a new file.
            return Found(newest, damaged=True)
        os.truncate(files[-1], tail.start)
        self._continue(files[-1])
        return Found(newest, cut_bytes=tail.end - tail.start)

    def append(self, record: LedgerRecord) -> None:
        """Write a record, whole or not at all; raises OSError when it cannot be."""
        data = entry(to_body(record))
        if self._file is None or (self._size and self._size + len(data) > self._rotate_bytes):
            self._rotate()
        file = self._file
        if file is None:
            raise AssertionError("a journal has a file once it was rotated")
        try:
            written = os.write(file, data)
            while written < len(data):
                written += os.write(file, data[written:])
        except OSError:
            # Half an entry in the middle of a file would be damage for good.
            os.ftruncate(file, self._size)
            raise
        self._size += len(data)
        self._dirty = True

    def sync(self) -> None:
        """Have the disk hold what was written."""
        if self._dirty and self._file is not None:
            os.fdatasync(self._file)
            self._dirty = False

    def close(self) -> None:
        """Let go of file and lock."""
        for descriptor in (self._file, self._lock):
            if descriptor is not None:
                os.close(descriptor)
        self._file = self._lock = None

    def _locked(self) -> int:
        lock = os.open(self._folder / "lock", os.O_CREAT | os.O_RDWR, 0o640)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise ConfigError(
                f"the journal in {str(self._folder)!r} belongs to another process",
                "Give each process a journal of its own in alerting.journal, or end the other one.",
            ) from None
        return lock

    def _continue(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND)
        self._size = os.fstat(self._file).st_size

    def _rotate(self) -> None:
        path = self._folder / f"{self._number + 1:0{_DIGITS}}{SUFFIX}"
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o640)
        self._number += 1
        if self._file is not None:
            self.sync()
            os.close(self._file)
        self._file, self._size = file, 0
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _scan(path: Path) -> tuple[LedgerRecord | None, Piece | None]:
    """Return the newest record in a file, and what follows the last whole entry, if anything does."""
    newest, tail = None, None
    for piece in read(path):
        tail = piece if piece.body is None else None
        if piece.body is not None:
            newest = piece.body
    try:
        return (None if newest is None else from_body(newest)), tail
    except WireError:
        return None, tail
