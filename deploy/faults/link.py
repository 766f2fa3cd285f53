"""A network that can be cut and slowed: a TCP proxy on loopback between the roles and one server."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from deploy.servers.ports import LOOPBACK, free_port
from shared.clock import Clock

_CHUNK: Final = 64 * 1024


class Link:
    """Carries every byte between clients of its port and a server on 127.0.0.1.

    While it is cut nothing arrives on either side and no connection breaks, as with a pulled cable: what was written
    meanwhile comes late. While it is slow each chunk of up to 64 KiB takes `delay_s` to come through.
    """

    def __init__(self, clock: Clock) -> None:
        self.port = free_port()
        self._target_port = 0
        self._clock = clock
        self._delay_s = 0.0
        self._whole = asyncio.Event()
        self._whole.set()
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, target_port: int) -> None:
        """Carry from now on."""
        self._target_port = target_port
        self._server = await asyncio.start_server(self._accept, LOOPBACK, self.port)

    async def stop(self) -> None:
        """Break every connection and listen no more."""
        if self._server is not None:
            self._server.close()
            for connection in self._connections:
                connection.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    def cut(self) -> None:
        """Let nothing through until `heal`."""
        self._whole.clear()

    def slow(self, delay_s: float) -> None:
        """Take `delay_s` for each chunk until `heal`."""
        self._delay_s = delay_s

    def heal(self) -> None:
        """Be a network again."""
        self._delay_s = 0.0
        self._whole.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        try:
            # A peer that resets its connection, or a server that is not there, ends both sides of it.
            with contextlib.suppress(OSError):
                await self._whole.wait()
                await self._connect(reader, writer)
        finally:
            await _close(writer)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(LOOPBACK, self._target_port)
        pumps = [
            asyncio.create_task(self._pump(reader, far_writer)),
            asyncio.create_task(self._pump(far_reader, writer)),
        ]
        try:
            await asyncio.gather(*pumps)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            await _close(far_writer)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_CHUNK):
            if self._delay_s:
                await self._clock.sleep(self._delay_s)
            await self._whole.wait()
            writer.write(chunk)
            await writer.drain()
        raise ConnectionResetError("one side is done: the other side's connection ends with it")


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
