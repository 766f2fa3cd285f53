"""Debian's redis-server, on loopback, with its data in a folder of ours."""

from __future__ import annotations

import shutil
import socket
from typing import TYPE_CHECKING, ClassVar

from deploy.servers.base import LoopbackServer
from deploy.servers.child import ChildProcess
from deploy.servers.ports import LOOPBACK
from shared.errors import ServerError

if TYPE_CHECKING:
    from pathlib import Path

_ANSWER_TIMEOUT_S = 1.0


class RedisServer(LoopbackServer):
    """A Redis server; `append_only` (the default) keeps every acknowledged write across `kill9`."""

    name: ClassVar[str] = "redis"

    def __init__(self, data_dir: Path, port: int = 0, *, append_only: bool = True) -> None:
        super().__init__(data_dir, port)
        self._append_only = append_only

    @property
    def url(self) -> str:
        """`redis://127.0.0.1:PORT/0`."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    def _launch(self) -> ChildProcess:
        program = shutil.which("redis-server")
        if program is None:
            raise ServerError("The program redis-server is missing", "Install the Debian package redis-server.")
        argv = [program, "--port", str(self.port), "--bind", LOOPBACK, "--dir", str(self.data_dir), "--daemonize", "no"]
        # An acknowledged write is on the disk before its reply, and a disk that is full ends Redis: see ADR 0014.
        # Snapshots are off, so that only the append-only file decides what comes back.
        argv += ["--appendonly", "yes" if self._append_only else "no", "--appendfsync", "always", "--save", ""]
        argv += ["--loglevel", "warning"]
        return ChildProcess(argv, self.log_path)

    def _answers(self) -> bool:
        with socket.create_connection((LOOPBACK, self.port), _ANSWER_TIMEOUT_S) as connection:
            connection.sendall(b"PING\r\n")
            # While the append-only file is read back the answer is an error, -LOADING.
            return connection.recv(64) == b"+PONG\r\n"
