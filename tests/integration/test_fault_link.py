"""The campaign's network: carries, can be cut, and can be slow; and its disk, which can be full."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.faults.disk import Disk
from deploy.faults.link import Link
from shared.clock import ManualClock
from shared.errors import ServerError
from tests.lines import eventually

REALLY_S = 10


class Echo:
    """A server that says back what it hears, and counts whom it knows."""

    def __init__(self) -> None:
        self.heard = b""
        self.guests = 0

    async def start(self) -> int:
        """Listen; return the port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Listen no more."""
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.guests += 1
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                self.heard += data
                writer.write(data)
        await close(writer)
        self.guests -= 1


async def close(writer: asyncio.StreamWriter) -> None:
    """Close one end, and wait until it is."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


@pytest.fixture
async def rig() -> AsyncIterator[tuple[Echo, Link, ManualClock]]:
    """Give an echo behind a link."""
    clock, echo = ManualClock(), Echo()
    link = Link(clock)
    await link.start(await echo.start())
    async with asyncio.timeout(REALLY_S):
        yield echo, link, clock
        await link.stop()
        await echo.stop()


async def settled() -> None:
    """Let everything happen that can."""
    for _ in range(200):
        await asyncio.sleep(0)


async def test_bytes_come_through_whole_both_ways(rig: tuple[Echo, Link, ManualClock]) -> None:
    """More than fits one chunk, and the end of a connection, too."""
    echo, link, _ = rig
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    sent = os.urandom(300_000)
    writer.write(sent)
    assert await reader.readexactly(len(sent)) == sent
    await close(writer)
    await eventually(lambda: not echo.guests)


async def test_what_is_said_over_a_cut_link_comes_late(rig: tuple[Echo, Link, ManualClock]) -> None:
    """Connections stay, new ones wait, nothing arrives; after the cut everything does."""
    echo, link, _ = rig
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    writer.write(b"a")
    assert await reader.readexactly(1) == b"a"
    link.cut()
    writer.write(b"b")
    other_reader, other = await asyncio.open_connection("127.0.0.1", link.port)
    other.write(b"c")
    await settled()
    assert (echo.heard, echo.guests) == (b"a", 1)
    link.heal()
    assert await reader.readexactly(1) == b"b"
    assert await other_reader.readexactly(1) == b"c"
    for each in (writer, other):
        await close(each)
    await eventually(lambda: not echo.guests)


async def test_a_slow_link_takes_its_time(rig: tuple[Echo, Link, ManualClock]) -> None:
    """Each way, for each chunk."""
    echo, link, clock = rig
    link.slow(0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    writer.write(b"a")
    await settled()
    await clock.advance(0.19, settle=200)
    assert echo.heard == b""
    await clock.advance(0.02, settle=200)
    await eventually(lambda: bool(echo.heard))
    await settled()
    await clock.advance(0.21, settle=200)
    assert await reader.readexactly(1) == b"a"
    await close(writer)
    await clock.advance(1, settle=200)
    await eventually(lambda: not echo.guests)


async def test_a_server_that_is_not_there_ends_the_connection(rig: tuple[Echo, Link, ManualClock]) -> None:
    """As without a link."""
    echo, link, _ = rig
    await echo.stop()
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    assert await reader.read() == b""
    await close(writer)


def test_a_disk_can_be_full_and_have_room_again(tmp_path: Path) -> None:
    """Writing fails as on any full disk, what is there stays, and its end leaves nothing mounted."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a file system")
    folder = tmp_path / "disk"
    with Disk(folder) as disk:
        (folder / "before").write_bytes(b"kept" * 100)
        disk.fill()
        with pytest.raises(OSError, match="No space") as full:
            (folder / "more").write_bytes(bytes(100_000))
        assert full.value.errno == errno.ENOSPC
        disk.free()
        (folder / "after").write_bytes(bytes(100_000))
        assert (folder / "before").read_bytes() == b"kept" * 100
    assert not os.path.ismount(folder)
    assert list(folder.iterdir()) == []


def test_a_disk_that_cannot_be_made_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where mount is missing or refused."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ServerError, match="--without disk-full"), Disk(tmp_path / "disk"):
        pass
