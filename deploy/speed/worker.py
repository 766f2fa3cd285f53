"""Something that works when it is told to, in a process of its own.

Engines of one process disturb each other: their threads still spin when another one's turn begins, and how many of them
numpy, OpenCV and torch use is said for the whole process (bf16's 140 pictures/s of `lite` became 121).
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeVar

from deploy.cli_options import set_log_level
from shared.errors import EngineError, LinewardenError

T = TypeVar("T")
P = ParamSpec("P")
R = TypeVar("R")

_STOP_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Worker(Generic[T]):
    """A T in its own process, which waits until it is asked."""

    name: str
    _process: BaseProcess
    _pipe: Connection

    def ask(self, method: Callable[Concatenate[T, P], R], *arguments: P.args, **named: P.kwargs) -> R:
        """Return what its method answers there; its LinewardenError is raised here, and ends it.

        EngineError where the process is gone.
        """
        try:
            self._pipe.send((method, arguments, named))
        except OSError as error:
            raise self._gone() from error
        answer: R = self.answer()
        return answer

    def answer(self) -> Any:  # noqa: ANN401 - whatever was asked for
        """Return the next answer."""
        try:
            value, error = self._pipe.recv()
        except (EOFError, OSError) as gone:
            raise self._gone() from gone
        if error is not None:
            raise error
        return value

    def _gone(self) -> EngineError:
        self._process.join(_STOP_S)
        code = self._process.exitcode
        return EngineError(f"the process of {self.name} ended with {code}", "What it wrote before says why.")


@contextmanager
def working(name: str, make: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> Iterator[Worker[T]]:
    """Start a process that makes a T, and yield it once that is done; it ends with the block, and with this process.

    The errors of `Worker.ask`.
    """
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_work, args=(theirs, make, arguments, named), name=name)
    process.start()
    theirs.close()
    try:
        worker: Worker[T] = Worker(name, process, ours)
        worker.answer()
        yield worker
    finally:
        ours.close()
        for stop in (process.terminate, process.kill):
            process.join(_STOP_S)
            if process.is_alive():
                stop()
        process.join()


def _work(pipe: Connection, make: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
    """Make it, and answer until the other end of the pipe is closed; the first LinewardenError is the last answer."""
    # Control-C goes to all: the other end closes the pipe then.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    set_log_level("warning")
    # Where nobody waits for an answer any more, there is nothing left to do.
    with suppress(BrokenPipeError):
        try:
            made = make(*arguments, **named)
            pipe.send((None, None))
            while (asked := _asked(pipe)) is not None:
                method, positional, others = asked
                pipe.send((method(made, *positional, **others), None))
        except LinewardenError as error:
            pipe.send((None, error))


def _asked(pipe: Connection) -> Any:  # noqa: ANN401 - a method and what it takes
    try:
        return pipe.recv()
    except (EOFError, ConnectionResetError):
        return None
