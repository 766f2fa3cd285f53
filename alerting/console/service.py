"""The console as a role: the web server, and what reads the store for it."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Final

import uvicorn

from alerting.console.app import make_app
from alerting.console.connections import ConsoleServer, listen
from alerting.console.context import Context
from alerting.console.first_password import tell_first_password
from shared.errors import ConfigError, StoreError
from shared.log import get_logger

_FIRST_S: Final = 2.0
_DRAIN_S: Final = 2


class ConsoleService:
    """Serves until it is stopped. It ends with ConfigError where the address or the certificate cannot be had."""

    name = "console"

    def __init__(self, context: Context, *, makes_admin: bool = True) -> None:
        """Serve `context`; with `makes_admin` there is a first admin, whose one-time password is told."""
        self._context = context
        self._makes_admin = makes_admin
        self.started = asyncio.Event()
        self._password_file: Path | None = None
        self.port = context.console.port
        self._log = get_logger("console")

    @property
    def url(self) -> str:
        """Return where browsers find it, once it has started."""
        console = self._context.console
        host = f"[{console.host}]" if ":" in console.host else console.host
        return f"http{'s' if console.certificate else ''}://{host}:{self.port}"

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set; browsers that look on are let go."""
        try:
            await self._run(stop)
        finally:
            self._forget_password()

    async def _run(self, stop: asyncio.Event) -> None:
        server = ConsoleServer(await asyncio.to_thread(self._config))
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(self._context.hub.run())
            first = tasks.create_task(self._first_user())
            serving = tasks.create_task(self._serve(server))
            stopping = tasks.create_task(stop.wait())
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            self._context.hub.close()
            server.should_exit = True
            if not serving.done():
                await asyncio.wait({serving})
            for task in (reading, first, stopping):
                task.cancel()

    def _forget_password(self) -> None:
        if self._password_file is not None:
            self._password_file.unlink(missing_ok=True)

    async def _serve(self, server: uvicorn.Server) -> None:
        # Uvicorn ends the process where it cannot listen; a socket of our own says why.
        console = self._context.console
        config = server.config
        try:
            listening = await asyncio.to_thread(listen, console.host, console.port)
        except OSError as error:
            raise ConfigError(
                f"the console cannot listen on {console.host}:{console.port}: {error.strerror or error}",
                "Choose another console.port, or 0 for any that is free.",
            ) from None
        self.port = listening.getsockname()[1]
        config.load()
        self._log.info("console.started", url=self.url, tls=console.tls)
        self.started.set()
        await server.serve(sockets=[listening])

    def _config(self) -> uvicorn.Config:
        console = self._context.console
        if console.certificate is not None and console.key is not None:
            try:
                ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(console.certificate, console.key)
            except (OSError, ssl.SSLError) as error:
                raise ConfigError(
                    f"console.certificate {str(console.certificate)!r} cannot be used with console.key: {error}",
                    "Give a PEM certificate and its PEM key, without a password.",
                ) from None
        return uvicorn.Config(
            make_app(self._context),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_DRAIN_S,
            ssl_certfile=console.certificate,
            ssl_keyfile=console.key,
        )

    async def _first_user(self) -> None:
        """Make the first user where there is none, however long the store is away, and again where it was emptied."""
        while self._makes_admin:
            with suppress(StoreError):
                password = await self._context.desk.first_password()
                if password is not None:
                    self._forget_password()
                    self._password_file = tell_first_password(password)
            await self._context.clock.sleep(_FIRST_S)
