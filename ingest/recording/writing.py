"""Recordings are written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, cast

from mcap.writer import CompressionType, IndexType, Writer

from ingest.recording.header import METADATA, PROFILE, SEQUENCES, SUFFIX, RecordingHeader
from shared.errors import ConfigError

_LATEST_NS: Final = 2**64 - 1
_CHUNK_BYTES: Final = 4 * 1024 * 1024


class RecordingWriter:
    """Writes a new recording. After any error what was written before is a recording up to its last whole chunk.

    `add`, `flush` and `close` raise `OSError` when the disk takes no more; then only `close` is left to call.
    """

    def __init__(self, path: Path, header: RecordingHeader) -> None:
        """Create the file; raises `ConfigError` when that cannot be done, or when it is there."""
        self._file = _create(path)
        self._shots = 0
        self._kept = 0
        self._broken = False
        # Of the indexes only that of chunks: the library holds those in memory anyway, and one of messages is larger.
        # Any, since not all of its methods are annotated.
        self._writer: Any = Writer(
            cast("IO[Any]", self._file),
            chunk_size=_CHUNK_BYTES,
            compression=CompressionType.NONE,
            index_types=IndexType.CHUNK | IndexType.METADATA,
            enable_data_crcs=True,
        )
        try:
            self._writer.start(PROFILE, f"linewarden {header.software}")
            self._writer.add_metadata(METADATA, header.to_metadata())
        except OSError as error:
            self._file.close()
            path.unlink()
            raise _refusal(path, error) from None
        self._channel = self._writer.register_channel("shots", "msgpack", 0)
        self._file.settle()

    @property
    def kept(self) -> int:
        """How many shots are in the file's whole chunks."""
        return self._kept

    @property
    def size_bytes(self) -> int:
        """How much was written."""
        return self._file.tell()

    def add(self, data: bytes, *, at_ns: int) -> None:
        """Append a shot that was captured at `at_ns`; it is in the file at the next flush, or when a chunk is full."""
        before = self._file.tell()
        self._shots += 1
        # MCAP's own times are unsigned; the shot's, which is played, is in the data.
        at_ns = min(max(0, at_ns), _LATEST_NS)
        with self._whole():
            self._writer.add_message(
                self._channel, log_time=at_ns, data=data, publish_time=at_ns, sequence=self._shots % SEQUENCES
            )
        if self._file.tell() > before:
            self._kept = self._shots

    def flush(self) -> None:
        """Write what was added: it outlasts this process from now on."""
        with self._whole():
            self._writer.flush()
        self._kept = self._shots

    def close(self) -> None:
        """Finish the recording, unless it is broken, and close the file."""
        try:
            if not self._broken:
                with self._whole():
                    self._writer.finish()
                self._kept = self._shots
        finally:
            self._file.close()

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Keep all that the block writes, or nothing of it."""
        try:
            yield
        except OSError:
            self._broken = True
            self._file.unsettle()
            raise
        self._file.settle()


def _create(path: Path) -> _WholeFile:
    if path.suffix != SUFFIX:
        raise ConfigError(f"recording {str(path)!r} does not end in {SUFFIX}", f"Give a name that ends in {SUFFIX}.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refusal(path, error) from None
    try:
        return _WholeFile(path)
    except FileExistsError:
        raise ConfigError(f"recording {str(path)!r} is there already", "Give another name, or remove it.") from None
    except OSError as error:
        raise _refusal(path, error) from None


def _refusal(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"cannot write {str(path)!r}: {error.strerror}", "Give a file that can be written.")


class _WholeFile:
    """What the library writes to: whole pieces, and a length to go back to when one could not be written."""

    def __init__(self, path: Path) -> None:
        # Without a buffer: what a buffer cannot write it tries again at its close, behind what was cut off.
        self._file = path.open("xb", buffering=0)
        self._at = 0
        self._settled = 0

    def write(self, data: bytes) -> int:
        """Write all of it."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]
        self._at += len(data)
        return len(data)

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self._at

    def flush(self) -> None:
        """Nothing waits."""

    def settle(self) -> None:
        """Take what was written as whole."""
        self._settled = self._at

    def unsettle(self) -> None:
        """Cut off what was written since."""
        self._file.truncate(self._settled)
        self._at = self._settled

    def close(self) -> None:
        """Close the file."""
        self._file.close()
