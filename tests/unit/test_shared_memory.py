"""Payloads in shared memory: bounded, whole or not there, and clear where they cannot be."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import shutil
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.clock import ManualClock
from shared.domain import CaptureId
from shared.errors import ConfigError, StoreError, StoreUnavailableError
from shared.store import shared_memory
from shared.store.shared_memory import SHARED_MEMORY, SharedMemoryPayloads

ROOM_BYTES = 1_000


def capture(sequence: int) -> CaptureId:
    """Return one exposure's name."""
    return CaptureId("line", "camera", 1, sequence)


def payloads_in(name: str, clock: ManualClock, room_bytes: int = ROOM_BYTES) -> SharedMemoryPayloads:
    """Return an adapter, as one process has it."""
    made = SharedMemoryPayloads(name, key_prefix="test", room_bytes=room_bytes, clock=clock)
    made.prepare()
    return made


@pytest.fixture
def name() -> Iterator[str]:
    """Give a name of the test's own."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield name
    shutil.rmtree(SHARED_MEMORY / f"linewarden-{name}", ignore_errors=True)


def held_bytes(payloads: SharedMemoryPayloads) -> int:
    """Return what all files of the folder hold, but for the sum's own."""
    return sum(path.stat().st_size for path in payloads.folder.iterdir() if path.name != ".held")


async def test_they_never_hold_more_than_the_room(name: str) -> None:
    """Whoever puts: those nearest to their end go first, and the newest is always there."""
    clock = ManualClock()
    writers = [payloads_in(name, clock) for _ in range(2)]
    for number in range(40):
        size = 50 + 37 * number % 400
        await writers[number % 2].put_payload(capture(number), bytes(size), ttl_s=60 + number)
        assert held_bytes(writers[0]) <= ROOM_BYTES
        found = await writers[(number + 1) % 2].payload(capture(number))
        assert found is not None
        assert len(found) == size
    assert await writers[0].payload(capture(0)) is None


async def test_what_has_ended_makes_room_before_what_lives(name: str) -> None:
    """And goes by itself as soon as anybody puts, a second later."""
    clock = ManualClock()
    payloads = payloads_in(name, clock)
    await payloads.put_payload(capture(1), bytes(400), ttl_s=100)
    await payloads.put_payload(capture(2), bytes(400), ttl_s=5)
    await clock.advance(6)
    await payloads.put_payload(capture(3), bytes(10), ttl_s=100)
    assert held_bytes(payloads) == 410
    await payloads.put_payload(capture(4), bytes(590), ttl_s=100)
    assert await payloads.payload(capture(1)) is not None


def _die_while_writing(name: str) -> None:
    def write_half(file: int, payload: bytes) -> None:
        os.write(file, payload[: len(payload) // 2])
        os.kill(os.getpid(), signal.SIGKILL)

    shared_memory._write = write_half
    payloads = payloads_in(name, ManualClock())
    payloads._put(payloads._path(capture(1)), bytes(600), 2**62)


def _die_before_naming(name: str) -> None:
    payloads = payloads_in(name, ManualClock())

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    payloads._name = die  # type: ignore[assignment, method-assign]
    payloads._put(payloads._path(capture(1)), bytes(600), 2**62)


@pytest.mark.parametrize("die", [_die_while_writing, _die_before_naming])
async def test_a_writer_that_is_killed_leaves_nothing(name: str, die: object) -> None:
    """Neither half a payload nor a lock, and the room is all there for the next one."""
    payloads = payloads_in(name, ManualClock())
    killed = multiprocessing.get_context("fork").Process(target=die, args=(name,))  # type: ignore[arg-type]
    killed.start()
    killed.join(30)
    assert killed.exitcode == -signal.SIGKILL
    assert await payloads.payload(capture(1)) is None
    assert held_bytes(payloads) == 0
    await payloads.put_payload(capture(2), bytes(ROOM_BYTES), ttl_s=60)
    assert held_bytes(payloads) == ROOM_BYTES


async def test_a_writer_that_does_not_let_go_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopped one keeps the lock; the others say so, and go on once it does."""
    monkeypatch.setattr(shared_memory, "_LOCK_S", 0.02)
    payloads = payloads_in(name, ManualClock())
    await payloads.put_payload(capture(1), b"a", ttl_s=60)
    with (payloads.folder / ".held").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(StoreUnavailableError, match="another process has been putting"):
            await payloads.put_payload(capture(2), b"b", ttl_s=60)
    await payloads.put_payload(capture(2), b"b", ttl_s=60)


async def test_a_machine_where_nobody_puts_says_so(name: str) -> None:
    """A detector on another machine than its cameras asks in vain, and says why; one that is gone is just gone."""
    payloads = payloads_in(name, ManualClock())
    with pytest.raises(StoreUnavailableError, match=r"nobody on this machine .* one machine"):
        await payloads.payload(capture(1))
    await payloads.put_payload(capture(1), b"pixels", ttl_s=60)
    assert await payloads.payload(capture(2)) is None


async def test_full_shared_memory_is_named_with_its_remedy(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others may have filled it: the frame is tried again, and nothing of it stays."""
    payloads = payloads_in(name, ManualClock())

    def full(_file: int, _payload: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shared_memory, "_write", full)
    with pytest.raises(StoreUnavailableError, match=r"is full.*--shm-size"):
        await payloads.put_payload(capture(1), b"pixels", ttl_s=60)
    assert held_bytes(payloads) == 0


async def test_a_payload_larger_than_the_room_takes_no_others(name: str) -> None:
    """It is refused, and the rest stays."""
    payloads = payloads_in(name, ManualClock())
    await payloads.put_payload(capture(1), bytes(900), ttl_s=60)
    with pytest.raises(StoreError, match="larger"):
        await payloads.put_payload(capture(2), bytes(ROOM_BYTES + 1), ttl_s=60)
    assert await payloads.payload(capture(1)) == bytes(900)


async def test_a_folder_that_somebody_removed_comes_back(name: str) -> None:
    """The next put makes it anew."""
    payloads = payloads_in(name, ManualClock())
    await payloads.put_payload(capture(1), b"pixels", ttl_s=60)
    shutil.rmtree(payloads.folder)
    await payloads.put_payload(capture(2), b"pixels", ttl_s=60)
    assert await payloads.payload(capture(2)) == b"pixels"


async def test_closing_removes_what_has_ended(name: str) -> None:
    """A line that ends leaves what may still be asked for, and no more."""
    clock = ManualClock()
    payloads = payloads_in(name, clock)
    await payloads.put_payload(capture(1), b"short", ttl_s=1)
    await payloads.put_payload(capture(2), b"longer", ttl_s=60)
    await clock.advance(2)
    await payloads.close()
    assert held_bytes(payloads) == len(b"longer")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("shm://host/name", "names a host"),
        ("shm:///", "no address"),
        ("shm:///../etc", "no address"),
        ("shm:///Name", "no address"),
        ("shm:///name?mib=0", "no address"),
        ("shm:///name?mib=many", "no address"),
        ("shm:///name?gib=1", "no address"),
        ("shm:name?mib=1#x", "no address"),
    ],
)
def test_an_address_that_is_none_is_refused(url: str, said: str) -> None:
    """With how it is written."""
    with pytest.raises(ConfigError, match=f"{said}.*shm:///NAME"):
        SharedMemoryPayloads.from_url(url, key_prefix="test", clock=ManualClock())


def test_a_room_larger_than_the_machine_has_is_refused(name: str) -> None:
    """Before the first frame, with what would help."""
    payloads = SharedMemoryPayloads(name, key_prefix="test", room_bytes=2**60, clock=ManualClock())
    with pytest.raises(ConfigError, match=r"in all.*--shm-size"):
        payloads.prepare()


@pytest.mark.parametrize("mode", [0o755, 0o770])
def test_a_folder_that_others_may_open_is_refused(name: str, mode: int) -> None:
    """Pictures of parts are nobody else's."""
    payloads = payloads_in(name, ManualClock())
    payloads.folder.chmod(mode)
    with pytest.raises(ConfigError, match="open to other users"):
        payloads.prepare()


def test_a_link_in_the_place_of_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    """Anybody may write to /dev/shm, and point elsewhere."""
    payloads = SharedMemoryPayloads(name, key_prefix="test", room_bytes=ROOM_BYTES, clock=ManualClock())
    payloads.folder.symlink_to(tmp_path)
    try:
        with pytest.raises(ConfigError, match="another user"):
            payloads.prepare()
    finally:
        payloads.folder.unlink()


def test_a_machine_without_shared_memory_is_told(tmp_path: Path) -> None:
    """With what else would do."""
    payloads = SharedMemoryPayloads("x", key_prefix="t", room_bytes=1, clock=ManualClock(), root=tmp_path / "none")
    with pytest.raises(ConfigError, match=r"cannot be used.*redis://"):
        payloads.prepare()
