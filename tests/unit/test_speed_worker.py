"""What works in a process of its own: asked, failing, gone, and never left behind."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.speed.worker import working
from shared.errors import ConfigError, EngineError


def test_an_engine_without_torch_is_measured_without_torch() -> None:
    """What its process needs loads none, as in a detector."""
    code = "import sys, deploy.speed.worker, deploy.speed.side, deploy.speed.recipe; sys.exit('torch' in sys.modules)"
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=root).returncode == 0


class Counter:
    """Adds up."""

    def __init__(self, start: int) -> None:
        if start < 0:
            raise ConfigError(f"{start} is too few", "Begin at 0.")
        self.count = start

    def add(self, number: int, *, times: int = 1) -> tuple[int, int]:
        """Return the sum, and whose it is."""
        if number < 0:
            raise EngineError(f"cannot add {number}", "Add more.")
        self.count += number * times
        return self.count, os.getpid()

    def vanish(self) -> None:
        """End the process, as one does that is out of memory."""
        os._exit(9)


def test_it_works_somewhere_else() -> None:
    """What it holds stays between two questions, and it ends with the block."""
    with working("counter", Counter, 3) as worker:
        first, process = worker.ask(Counter.add, 2)
        assert (first, process != os.getpid()) == (5, True)
        assert worker.ask(Counter.add, 2, times=10) == (25, process)
    assert not multiprocessing.active_children()


def test_its_errors_are_raised_here() -> None:
    """With their remedy: those of its making, and those of its work."""
    with pytest.raises(ConfigError, match=r"-1 is too few. Begin at 0\."), working("counter", Counter, -1):
        pass
    with working("counter", Counter, 0) as worker, pytest.raises(EngineError, match=r"cannot add -5. Add more\."):
        worker.ask(Counter.add, -5)
    assert not multiprocessing.active_children()


def test_one_that_is_gone_is_named() -> None:
    """With the code that it ended with; nobody waits for it."""
    with working("counter", Counter, 0) as worker:
        with pytest.raises(EngineError, match="the process of counter ended with 9"):
            worker.ask(Counter.vanish)
        with pytest.raises(EngineError, match="the process of counter ended with 9"):
            worker.ask(Counter.add, 1)


def test_it_ends_when_the_work_fails_here() -> None:
    """Whatever is raised in the block."""
    with pytest.raises(RuntimeError, match="spoilt"), working("counter", Counter, 0):
        raise RuntimeError("spoilt")
    assert not multiprocessing.active_children()
