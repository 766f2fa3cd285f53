"""What every server has in common: start until it answers, stop, kill, freeze, restart in place."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Self

from deploy.servers.child import ChildProcess
from deploy.servers.ports import LOOPBACK, can_listen, free_port
from shared.errors import ServerError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

_POLL_S = 0.02


class LoopbackServer(ABC):
    """A server of this machine on 127.0.0.1, with a port and a data folder that outlive its process.

    A context manager: `start` on entry, `stop` on exit. After `stop` or `kill9` it can be started again and comes back
    on the same port with the same data. One thread at a time may use it, except where a method says otherwise.
    """

    name: ClassVar[str]
    start_deadline_s: ClassVar[float] = 30.0
    stop_deadline_s: ClassVar[float] = 20.0

    def __init__(self, data_dir: Path, port: int = 0) -> None:
        self.data_dir = data_dir.absolute()
        self.port = port or free_port()
        self.log_path = self.data_dir / f"{self.name}.log"
        self._child: ChildProcess | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients reach the server."""

    @property
    def pid(self) -> int:
        """The server's process id; raises ServerError while it is not started."""
        return self._started().pid

    @property
    def running(self) -> bool:
        """Whether the server's process is there, frozen or not."""
        return self._child is not None and self._child.running

    def start(self) -> None:
        """Start the server and return once it answers a real request.

        Raises ServerError when the port is taken, and, with the end of the server's log, when the server ends or does
        not answer within `start_deadline_s`.
        """
        if self.running:
            return
        # What listens there would answer in the place of a server that fails to.
        if not can_listen(self.port):
            raise ServerError(
                f"Port {self.port} of {LOOPBACK} is taken", "Stop what listens there, or give another port."
            )
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._child = self._launch()
        try:
            self._await_answer(self._child)
        except BaseException:
            self.kill9()
            raise

    def stop(self) -> None:
        """Stop the server in order, by force after `stop_deadline_s`; a server that is not there is fine."""
        if self._child is not None:
            orderly = self._child.stop(self.stop_deadline_s)
            self._child = None
            self._ended(orderly=orderly)

    def kill9(self) -> None:
        """SIGKILL the server, as a crash would, and wait until it is gone."""
        if self._child is not None:
            self._child.kill()
            self._child = None
            self._ended(orderly=False)

    def freeze(self) -> None:
        """SIGSTOP the server and return once it stands still: its connections stay open and nothing answers."""
        self._started().freeze()

    def thaw(self) -> None:
        """SIGCONT a frozen server."""
        self._started().thaw()

    def restart(self) -> None:
        """Stop in order and start again on the same port and data folder."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @abstractmethod
    def _launch(self) -> ChildProcess:
        """Prepare the data folder and start the process; raise ServerError when a program it needs is missing."""

    @abstractmethod
    def _answers(self) -> bool:
        """Return whether the server answers a real request now; OSError means no."""

    def _ended(self, *, orderly: bool) -> None:  # noqa: B027 (a hook that not every server needs)
        """Tidy up after the process; `orderly` says that it ended on its own after it was asked to."""

    def _started(self) -> ChildProcess:
        if self._child is None:
            raise ServerError(f"The {self.name} server is not running", "Call start first.")
        return self._child

    def _await_answer(self, child: ChildProcess) -> None:
        deadline = time.monotonic() + self.start_deadline_s
        while time.monotonic() < deadline:
            answered = self._tried()
            if not child.running:
                raise self._failure(child, f"ended with status {child.exit_status}")
            if answered:
                return
            time.sleep(_POLL_S)
        raise self._failure(child, f"did not answer within {self.start_deadline_s:g} s")

    def _tried(self) -> bool:
        try:
            return self._answers()
        except OSError:
            return False

    def _failure(self, child: ChildProcess, what: str) -> ServerError:
        tail = child.log_tail() or "(it wrote nothing)"
        return ServerError(
            f"The {self.name} server on port {self.port} {what}; the end of its log: {tail}",
            f"Check that {self.data_dir} can be written.",
        )
