"""The console's connections, few enough that they leave descriptors and time to the gates beside it.

Whoever is not known yet can open as many as they like: beyond `MOST` each new one is closed at once, before TLS is
spoken, and one that has not sent a whole request in `REQUEST_S` is closed, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST: Final = 250
REQUEST_S: Final = 10.0
BACKLOG: Final = 32
"""The event loop takes up to so many at one turn, and nothing else meanwhile."""


class Listening(socket.socket):
    """A listening socket that hands on `MOST` connections at a time."""

    def __init__(self, plain: socket.socket) -> None:
        """Take over the socket that listens."""
        super().__init__(plain.family, plain.type, plain.proto, plain.detach())
        self._open: set[socket.socket] = set()

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept one; beyond the bound it is closed, and BlockingIOError says that there is none for now."""
        connection, address = super().accept()
        if len(self._open) >= MOST:
            self._open = {one for one in self._open if one.fileno() >= 0}
        if len(self._open) >= MOST:
            connection.close()
            raise BlockingIOError
        self._open.add(connection)
        return connection, address


class Prompt(H11Protocol):
    """HTTP with whoever asks in time."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        super().connection_lost(exc)
        self._relax()

    def data_received(self, data: bytes) -> None:
        """Take in a piece; the time for a whole request begins with its first one."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._watch()

    def _watch(self) -> None:
        whole = self.cycle is not None and not self.cycle.more_body and not self.cycle.response_complete
        if whole:
            self._relax()
        elif self._late is None:
            self._late = self.loop.call_later(REQUEST_S, self.transport.abort)

    def _relax(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


class ConsoleServer(uvicorn.Server):
    """Uvicorn on a socket of ours, without a say in what this process does with signals."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve; TLS must be agreed upon as soon as a request must have come."""
        loop, config = asyncio.get_running_loop(), self.config

        def protocol() -> Prompt:
            return Prompt(config, self.server_state, self.lifespan.state, loop)

        self.servers = [
            await loop.create_server(
                protocol,
                sock=listening,
                ssl=config.ssl,
                backlog=BACKLOG,
                ssl_handshake_timeout=REQUEST_S if config.ssl else None,
            )
            for listening in sockets or []
        ]
        self.started = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the process."""
        yield


def listen(host: str, port: int) -> Listening:
    """Return a socket that listens; raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return Listening(socket.create_server((host, port), family=family, backlog=BACKLOG))
