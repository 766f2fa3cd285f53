"""Payloads of large frames in this machine's shared memory: files of a tmpfs, for roles that run on one host.

    /dev/shm/linewarden-NAME/   one file a payload, whole from the moment at which it has a name: it is written without
                                one, and what a killed writer leaves has none. Its time stamp is its end.
    /dev/shm/linewarden-NAME/.held   how many bytes all of them hold, eight bytes; locked by whoever puts

Nothing in it outlives the machine, and together they never hold more than the room: where a new one has no place, those
nearest to their end go first.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import hashlib
import json
import mmap
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from shared.clock import NS_PER_S, Clock
from shared.domain import CaptureId
from shared.errors import ConfigError, StoreError, StoreUnavailableError

SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - it is meant: the folder inside is ours alone, and checked
DEFAULT_MIB: Final = 256
MAPPED_FROM_BYTES: Final = 4 * 1024 * 1024
"""From here on a mapping is faster than a copy (half the time at 16 MB); it takes a file descriptor while it lives."""
_MIB: Final = 1024 * 1024
_HELD: Final = ".held"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,30}")
_ROOM: Final = re.compile(r"[1-9][0-9]{0,6}")
_SWEEP_S: Final = 1.0
_LOCK_S: Final = 1.0
_LOCK_PAUSE_S: Final = 0.002
_USAGE: Final = "Write shm:///NAME, or shm:///NAME?mib=512 for other than 256 MiB, with a name of a-z, 0-9, _ and -."
_FULL: Final = (
    "Give it more (`docker run --shm-size`, an emptyDir with `medium: Memory`), or put less into it by a smaller ?mib=."
)
_ONE_USER: Final = "Run ingest and detectors as one user, or give them a name of their own."


@dataclass(frozen=True, slots=True)
class _File:
    """A payload as the folder lists it."""

    ends_ns: int
    size_bytes: int
    path: str


class SharedMemoryPayloads:
    """A `PayloadStore` for processes of one machine. Puts and reads cost a copy each at most, and no trip."""

    def __init__(
        self, name: str, *, key_prefix: str, room_bytes: int, clock: Clock, root: Path = SHARED_MEMORY
    ) -> None:
        """Serve the folder of this name; `key_prefix` keeps the payloads of several plants in it apart."""
        self.folder = root / f"linewarden-{name}"
        self._address = f"shm:///{name}"
        self._key_prefix = key_prefix
        self._room_bytes = room_bytes
        self._clock = clock
        self._swept_ns = 0

    @classmethod
    def from_url(cls, url: str, *, key_prefix: str, clock: Clock) -> SharedMemoryPayloads:
        """Return the adapter for `shm:///NAME[?mib=ROOM]`; ConfigError for another address."""
        parts = urlsplit(url)
        name = parts.path.removeprefix("/")
        if parts.netloc:
            raise ConfigError(f"{url!r} names a host, and shared memory is this machine's own", _USAGE)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        room = options.pop("mib", str(DEFAULT_MIB))
        if options or parts.fragment or not _NAME.fullmatch(name) or not _ROOM.fullmatch(room):
            raise ConfigError(f"{url!r} is no address of shared memory", _USAGE)
        return cls(name, key_prefix=key_prefix, room_bytes=int(room) * _MIB, clock=clock)

    def prepare(self) -> None:
        """Make the folder; ConfigError where it cannot be ours, or may hold more than there is."""
        root = self.folder.parent
        try:
            with suppress(FileExistsError):
                self.folder.mkdir(mode=0o700)
            found = self.folder.lstat()
            whole = os.statvfs(root)
        except OSError as error:
            raise ConfigError(
                f"{self._address} cannot be used: {error.strerror} ({self.folder})",
                f"It needs a tmpfs at {root} that this user can write; else use redis://HOST:PORT/DB.",
            ) from None
        if not self.folder.is_dir() or self.folder.is_symlink() or found.st_uid != os.geteuid():
            raise ConfigError(f"{self._address} is another user's: {self.folder}", _ONE_USER)
        if found.st_mode & 0o077:
            raise ConfigError(
                f"{self.folder} is open to other users, and holds pictures", f"Make it 0700, or remove it: {_ONE_USER}"
            )
        most_bytes = whole.f_blocks * whole.f_frsize
        if self._room_bytes > most_bytes:
            raise ConfigError(
                f"{self._address} may hold {self._room_bytes // _MIB} MiB, and {root} has {most_bytes // _MIB} in all",
                _FULL,
            )

    async def put_payload(self, capture: CaptureId, payload: bytes, *, ttl_s: int) -> None:
        """Keep a frame's payload for `ttl_s` seconds; doing so again begins them anew.

        StoreUnavailableError while shared memory is full or another writer does not let go; StoreError for a payload
        larger than all the room, and where this user may not write.
        """
        ends_ns = self._clock.utc_ns() + ttl_s * NS_PER_S
        await asyncio.to_thread(self._put, self._path(capture), payload, ends_ns)

    async def payload(self, capture: CaptureId) -> bytes | memoryview | None:
        """Return a frame's payload and leave it there; None once it is gone. Large ones are mapped, not copied.

        StoreUnavailableError as long as nobody on this machine ever put one.
        """
        with self._mapped():
            return self._read(self._path(capture))

    async def close(self) -> None:
        """Remove what nobody needs any more, where this process put anything."""
        if self._swept_ns:
            with suppress(StoreError):
                await asyncio.to_thread(self._sweep_alone)

    def remove(self) -> None:
        """Remove the folder with all that is in it: for a name of the caller's own."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _read(self, path: Path) -> bytes | memoryview | None:
        try:
            file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            if not (self.folder / _HELD).exists():
                raise StoreUnavailableError(
                    f"nobody on this machine has put a frame into {self._address}",
                    "Ingest and detectors need one machine, and in containers one /dev/shm; else use redis://.",
                ) from None
            return None
        try:
            found = os.fstat(file)
            if found.st_mtime_ns <= self._clock.utc_ns():
                return None
            if found.st_size >= MAPPED_FROM_BYTES:
                # It stays whole while it is mapped: files here are removed, and never changed or cut.
                return memoryview(mmap.mmap(file, found.st_size, access=mmap.ACCESS_READ))
            return os.read(file, found.st_size)
        finally:
            os.close(file)

    def _put(self, path: Path, payload: bytes, ends_ns: int) -> None:
        if len(payload) > self._room_bytes:
            raise StoreError(
                f"a payload of {len(payload)} bytes is more than {self._address} may hold in all",
                "Write a larger ?mib= into store.payload_url.",
            )
        with self._mapped():
            with suppress(FileExistsError):
                self.folder.mkdir(mode=0o700)
            with self._locked() as held:
                self._make_room(held, len(payload))
                file = os.open(self.folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
                try:
                    _write(file, payload)
                    os.utime(file, ns=(ends_ns, ends_ns))
                    # Counted before it has a name: a writer that ends in between leaves a count that is too high,
                    # which the next sweep mends.
                    _count(held, _counted(held) + len(payload))
                    self._name(file, path, held)
                finally:
                    os.close(file)

    def _name(self, file: int, path: Path, held: int) -> None:
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # By a folder's descriptor, or Python takes the call that would link the link itself.
            unnamed = f"/proc/self/fd/{file}"
            try:
                os.link(unnamed, path.name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=True)
            except FileExistsError:
                older = path.stat().st_size
                os.link(unnamed, f"{path.name}-new", src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=True)
                (self.folder / f"{path.name}-new").replace(path)
                _count(held, _counted(held) - older)
        finally:
            os.close(folder)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Yield the file of the sum, which is this writer's alone meanwhile; a process that dies lets go of it."""
        file = os.open(self.folder / _HELD, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            give_up = time.monotonic() + _LOCK_S
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > give_up:
                        raise StoreUnavailableError(
                            f"another process has been putting into {self._address} for {_LOCK_S:g} s",
                            "Look for an ingest that was stopped, and end it.",
                        ) from None
                    time.sleep(_LOCK_PAUSE_S)
            yield file
        finally:
            os.close(file)

    def _make_room(self, held: int, size_bytes: int) -> None:
        now_ns = self._clock.utc_ns()
        full = _counted(held) + size_bytes > self._room_bytes
        if full or abs(now_ns - self._swept_ns) >= _SWEEP_S * NS_PER_S:
            self._sweep(held, now_ns, size_bytes)

    def _sweep_alone(self) -> None:
        with self._mapped(), self._locked() as held:
            self._sweep(held, self._clock.utc_ns(), 0)

    def _sweep(self, held: int, now_ns: int, wanted_bytes: int) -> None:
        """Remove what has ended, and of the rest what ends first until `wanted_bytes` fit; count anew what is left."""
        files = sorted(self._files(), key=lambda file: file.ends_ns)
        left_bytes = sum(file.size_bytes for file in files)
        for file in files:
            if file.ends_ns > now_ns and left_bytes + wanted_bytes <= self._room_bytes:
                break
            Path(file.path).unlink(missing_ok=True)
            left_bytes -= file.size_bytes
        _count(held, left_bytes)
        self._swept_ns = now_ns

    def _files(self) -> Iterator[_File]:
        with os.scandir(self.folder) as entries:
            for entry in entries:
                if entry.name != _HELD:
                    found = entry.stat(follow_symlinks=False)
                    yield _File(found.st_mtime_ns, found.st_size, entry.path)

    def _path(self, capture: CaptureId) -> Path:
        """Return a payload's file. Names of cameras come from messages, and are no names of files."""
        whole = json.dumps([self._key_prefix, capture.line, capture.camera, capture.epoch, capture.sequence])
        return self.folder / hashlib.blake2b(whole.encode(), digest_size=16).hexdigest()

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._explained(error) from error

    def _explained(self, error: OSError) -> StoreError:
        root = self.folder.parent
        match error.errno:
            case errno.ENOSPC | errno.EDQUOT | errno.ENOMEM:
                return StoreUnavailableError(f"{root} is full, and {self._address} takes no frame", _FULL)
            case errno.EACCES | errno.EPERM | errno.EROFS:
                return StoreError(f"this user may not use {self.folder} ({error.strerror})", _ONE_USER)
            case errno.EMFILE | errno.ENFILE:
                return StoreUnavailableError(
                    f"{self._address} cannot be read: {error.strerror}", "Raise the limit of open files (ulimit -n)."
                )
            case errno.EOPNOTSUPP | errno.EISDIR:
                return StoreError(f"{root} is no tmpfs ({error.strerror})", "Mount one there, or use redis://.")
            case _:
                return StoreUnavailableError(f"{self._address} does not work: {error}", f"Look at {self.folder}.")


def _write(file: int, payload: bytes) -> None:
    left = memoryview(payload)
    while left:
        left = left[os.write(file, left) :]


def _counted(held: int) -> int:
    return int.from_bytes(os.pread(held, 8, 0), "little")


def _count(held: int, size_bytes: int) -> None:
    os.pwrite(held, max(0, size_bytes).to_bytes(8, "little"), 0)
