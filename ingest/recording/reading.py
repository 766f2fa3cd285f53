"""Recordings are read, up to the last whole chunk of one that was cut."""

from __future__ import annotations

import os
import struct
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, cast

import zstandard
from mcap.exceptions import InvalidMagic, McapError
from mcap.records import Chunk, Header, Message, Metadata
from mcap.stream_reader import StreamReader, breakup_chunk
from mcap.writer import MCAP0_MAGIC

from ingest.recording.header import METADATA, PROFILE, SEQUENCES, RecordingHeader
from shared.errors import DataError

_MOST_BYTES: Final = 1024 * 1024 * 1024
# What the library raises for bytes that are no MCAP, or a damaged one.
_UNREADABLE: Final = (McapError, struct.error, ValueError, KeyError, RuntimeError, zstandard.ZstdError)


@dataclass(frozen=True, slots=True)
class Extent:
    """What a recording holds; `finished` is False for one whose writer was killed, or whose disk was full."""

    header: RecordingHeader
    shots: int
    finished: bool


def read_header(path: Path) -> RecordingHeader:
    """Return who recorded what; raises `DataError` for a file that is no recording."""
    for record in _records(path, checked=False):
        if isinstance(record, RecordingHeader):
            return record
    raise _no_recording(path)


def read_entries(path: Path) -> Generator[bytes]:
    """Yield the shots in their order, up to the last whole chunk; raises `DataError` where the file is damaged."""
    for record in _records(path, checked=False):
        if isinstance(record, bytes):
            yield record


def measure(path: Path) -> Extent:
    """Read all of a recording and hold it against its checksums.

    Raises `DataError` for a damaged one, and for one without a single exposure.
    """
    header: RecordingHeader | None = None
    shots = 0
    for record in _records(path, checked=True):
        if isinstance(record, bytes):
            shots += 1
        else:
            header = record
    if header is None:
        raise _no_recording(path)
    if not shots:
        raise DataError(f"recording {str(path)!r} holds no exposure", "Record again, for longer.")
    return Extent(header, shots, _is_finished(path))


def _records(path: Path, *, checked: bool) -> Iterator[RecordingHeader | bytes]:
    """Yield the header and each shot; with `checked` what lies between chunks is checked, too."""
    finished = _is_finished(path)
    try:
        with path.open("rb") as file:
            bounded = _BoundedFile(file)
            try:
                yield from _unpacked(cast("IO[bytes]", bounded), str(path), checked=checked)
            except _UNREADABLE as error:
                if finished or not bounded.ended:
                    raise map_error(error, path, file.tell()) from None
    except OSError as error:
        raise DataError(f"recording {str(path)!r} cannot be read: {error.strerror}", "Check its disk.") from None


def _unpacked(stream: IO[bytes], origin: str, *, checked: bool) -> Iterator[RecordingHeader | bytes]:
    shots = 0
    reader = StreamReader(stream, emit_chunks=True, validate_crcs=checked, record_size_limit=_MOST_BYTES)
    for record in reader.records:
        if isinstance(record, Header) and record.profile != PROFILE:
            raise InvalidMagic(record.profile)
        if isinstance(record, Metadata) and record.name == METADATA:
            yield RecordingHeader.from_metadata(record.metadata, origin)
        for inner in breakup_chunk(record, validate_crc=True) if isinstance(record, Chunk) else ():
            if isinstance(inner, Message):
                shots += 1
                if inner.sequence != shots % SEQUENCES:
                    raise ValueError(f"exposure {shots} is missing")
                yield inner.data


def map_error(error: BaseException, path: Path, at_byte: int) -> DataError:
    """Return our error for what the library raised when it had read so far."""
    if isinstance(error, InvalidMagic):
        return _no_recording(path)
    return DataError(
        f"recording {str(path)!r} is damaged before byte {at_byte} ({str(error) or type(error).__name__})",
        "Copy it anew from where it was made, or record again.",
    )


def _no_recording(path: Path) -> DataError:
    return DataError(
        f"{str(path)!r} is no recording of linewarden, or its beginning is damaged", "`linewarden record` writes one."
    )


def _is_finished(path: Path) -> bool:
    """Return whether the end of the file was written; raises `DataError` when there is no such file."""
    try:
        with path.open("rb") as file:
            if file.seek(0, os.SEEK_END) <= len(MCAP0_MAGIC):
                return False
            file.seek(-len(MCAP0_MAGIC), os.SEEK_END)
            return file.read() == MCAP0_MAGIC
    except OSError as error:
        raise DataError(
            f"recording {str(path)!r} cannot be read: {error.strerror}", "`linewarden record` writes one."
        ) from None


class _BoundedFile:
    """What the library reads from: no read of more than a recording can hold, and the end remembered."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.ended = False
        """Whether more was asked for than there was."""

    def read(self, length: int) -> bytes:
        """Return so many bytes, or what is left."""
        if length > _MOST_BYTES:
            raise ValueError(f"a record of {length} bytes")
        data = self._file.read(length)
        self.ended = self.ended or len(data) < length
        return data
