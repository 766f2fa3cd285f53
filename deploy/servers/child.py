"""One child process that never outlives this one."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import IO, TYPE_CHECKING

from shared.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_TAIL_BYTES = 4_000
_KILL_DEADLINE_S = 10.0


class ChildProcess:
    """A started program, its log file and its signals.

    The kernel kills the child (SIGKILL, which a frozen one obeys too) when this process ends, however it ends: an
    aborted test run leaves nothing behind.
    """

    def __init__(
        self, argv: Sequence[str], log_path: Path, *, env: Mapping[str, str] | None = None, pipe_input: bool = False
    ) -> None:
        """Start `argv` with its output appended to `log_path`; raise ServerError when the program is not there."""
        self._log_path = log_path
        self._input = threading.Lock()
        log_path.parent.mkdir(parents=True, exist_ok=True)
        with log_path.open("ab") as log:
            self._log_start = log.tell()
            self._process = _Spawner.thread().submit(_spawn, argv, log, env, pipe_input).result()

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the child has not ended; a frozen child runs."""
        return self._process.poll() is None

    @property
    def exit_status(self) -> int | None:
        """The exit status, minus the signal's number after a signal, None while it runs."""
        return self._process.poll()

    def write(self, content: memoryview) -> None:
        """Write bytes to the child's input, waiting while its pipe is full.

        Raises BrokenPipeError when the child has ended, ends meanwhile, has had its input closed, or takes none.
        """
        with self._input:
            pipe = self._process.stdin
            if pipe is None or pipe.closed:
                raise BrokenPipeError(errno.EPIPE, "The child's input is closed")
            while content:
                content = content[pipe.write(content) :]

    def close_input(self) -> None:
        """End the child's input, after a `write` that another thread is in."""
        with self._input:
            if self._process.stdin is not None:
                self._process.stdin.close()

    def log_tail(self) -> str:
        """Return the end of what this child wrote, at most 4,000 bytes of it."""
        with self._log_path.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, end - _TAIL_BYTES))
            return log.read().decode("utf-8", "replace").strip()

    def send(self, signal_number: signal.Signals) -> None:
        """Send a signal; a child that has ended is left in peace."""
        self._process.send_signal(signal_number)

    def freeze(self) -> None:
        """SIGSTOP the child and return once every thread of it stands still, or it has ended."""
        self.send(signal.SIGSTOP)
        if self.running:
            # WNOWAIT leaves an end to be collected by the process's own wait.
            os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def thaw(self) -> None:
        """SIGCONT the child."""
        self.send(signal.SIGCONT)

    def stop(self, deadline_s: float) -> bool:
        """Ask the child to end with SIGTERM, SIGKILL it after `deadline_s` seconds; return whether it ended when asked.

        A child that had already ended by itself did not end when asked.
        """
        asked = self.running
        self.send(signal.SIGTERM)
        self.thaw()  # a frozen child takes no SIGTERM
        try:
            self._process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        self.close_input()
        return asked

    def kill(self) -> None:
        """SIGKILL the child, wait for its end and close its input."""
        self.send(signal.SIGKILL)
        self._process.wait(_KILL_DEADLINE_S)
        self.close_input()


def _spawn(
    argv: Sequence[str], log: IO[bytes], env: Mapping[str, str] | None, pipe_input: bool
) -> subprocess.Popen[bytes]:
    # setpriv (util-linux) sets the death signal and becomes the program, under the same process id. Doing the same in a
    # preexec_fn would run Python between fork and exec, which may deadlock in a process with threads.
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise ServerError("The program setpriv is missing", "Install the Debian package util-linux.")
    if shutil.which(argv[0]) is None:
        raise ServerError(f"The program {argv[0]} is missing", "Install it, or add its folder to PATH.")
    return subprocess.Popen(
        [setpriv, "--pdeathsig", "KILL", "--", *argv],
        bufsize=0,
        stdin=subprocess.PIPE if pipe_input else subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=env,
        # Ctrl-C in the terminal is for this process, which then stops its servers in order.
        start_new_session=True,
    )


class _Spawner:
    """The one thread that starts children: it lives as long as this process.

    The kernel sends the death signal when the *thread* that started the child ends, so a server must not be started
    from a short-lived worker thread.
    """

    _lock = threading.Lock()
    _thread: ThreadPoolExecutor | None = None

    @classmethod
    def thread(cls) -> ThreadPoolExecutor:
        """Return the thread, started at the first call."""
        with cls._lock:
            if cls._thread is None:
                cls._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="linewarden-servers")
            return cls._thread
