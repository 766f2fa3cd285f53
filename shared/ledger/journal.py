"""One line's journal: files of entries that a kill leaves whole but for the last one.

An entry, little-endian; a reader finds the next whole one behind damage by its mark:

offset  size  what
0       4     mark b"LWJ1"
4       4     length of the body in bytes
8       4     CRC-32 (zlib) of the length and the body
12      n     body: a ledger record (`shared.ledger.message.to_body`)

The files of a line are LINE/00000001.lwj and so on; a new one begins where the last would become too large.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MARK: Final = b"LWJ1"
SUFFIX: Final = ".lwj"
_HEAD: Final = struct.Struct("<4sII")
_LENGTH: Final = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes `start` to `end` of a file: an entry with its body, or damage, whose body is None."""

    start: int
    end: int
    body: bytes | None


def entry(body: bytes) -> bytes:
    """Return the entry that holds `body`."""
    crc = zlib.crc32(body, zlib.crc32(_LENGTH.pack(len(body))))
    return _HEAD.pack(MARK, len(body), crc) + body


def pieces(data: bytes | mmap.mmap) -> Iterator[Piece]:
    """Yield all that a file's bytes hold, one piece after another."""
    at, size = 0, len(data)
    while at < size:
        body = _body(data, at)
        if body is not None:
            end = at + _HEAD.size + len(body)
        else:
            end = data.find(MARK, at + 1)
            while end >= 0 and _body(data, end) is None:
                end = data.find(MARK, end + 1)
            end = size if end < 0 else end
        yield Piece(at, end, body)
        at = end


def torn(data: bytes) -> bool:
    """Return whether bytes at the end of a file are the beginning of an entry, or zeros that a power cut left."""
    if not data.strip(b"\0"):
        return True
    if len(data) < _HEAD.size:
        return data.startswith(MARK[: len(data)])
    mark, length, _ = _HEAD.unpack_from(data)
    return bool(mark == MARK and length > len(data) - _HEAD.size)


def read(path: Path) -> Iterator[Piece]:
    """Yield all that a file holds."""
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield from pieces(data)


def files_of(folder: Path) -> list[Path]:
    """Return a line's files, oldest first."""
    return sorted(path for path in folder.glob(f"*{SUFFIX}") if path.stem.isdigit())


def lines_in(folder: Path) -> list[str]:
    """Return the lines that have a journal in `folder`."""
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and files_of(path))


def _body(data: bytes | mmap.mmap, at: int) -> bytes | None:
    if len(data) - at < _HEAD.size:
        return None
    mark, length, crc = _HEAD.unpack_from(data, at)
    start = at + _HEAD.size
    if mark != MARK or start + length > len(data):
        return None
    body = data[start : start + length]
    return body if zlib.crc32(body, zlib.crc32(_LENGTH.pack(length))) == crc else None
