"""anomalib's inferencers in a process of their own, in which they take turns when they are told to."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from detector.runtime.heap import KEPT_FREE_BYTES, MAPPED_FROM_BYTES
from shared.errors import ConfigError

if TYPE_CHECKING:
    from detector.model.lens import Size

_RUNNER: Final = Path(__file__).parents[1] / "peers" / "anomalib_speed.py"
_REMEDY: Final = "Run `make bench-compare`, which makes an environment that has it."
_STOP_S: Final = 20.0
_LAST_WORDS: Final = 400
# As our own processes keep their freed memory: see `detector/runtime/heap.py`.
_HEAP: Final = {
    "MALLOC_MMAP_THRESHOLD_": str(MAPPED_FROM_BYTES),
    "MALLOC_TRIM_THRESHOLD_": str(KEPT_FREE_BYTES),
}


@dataclass(slots=True)
class Peers:
    """The inferencers of one method."""

    method: str
    names: tuple[str, ...]
    version: str
    _process: subprocess.Popen[str]
    _answers: IO[str]
    _log: Path

    def turn(self, pictures: int, stream: int) -> dict[str, list[float]]:
        """Return what each of so many pictures took each inferencer, in milliseconds.

        Of those that work side by side, which get `stream` pictures together, it is one figure: a picture's share.
        """
        if self._process.stdin is None:
            raise AssertionError("it was started with a pipe")
        self._process.stdin.write(f"{pictures} {stream}\n")
        self._process.stdin.flush()
        return {str(name): [float(one) for one in times] for name, times in _answer(self).items()}


@contextmanager
def running_peers(
    python: Path, scratch: Path, method: str, *, coreset: int, threads: int, size: Size
) -> Iterator[Peers]:
    """Train and export one method on what lies in `scratch`, see `anomalib_speed.py`; ConfigError: its last words."""
    reading, writing = os.pipe()
    log = scratch / f"{method}.log"
    argv = [str(python), str(_RUNNER), str(scratch), method, str(coreset), str(threads)]
    with log.open("w", encoding="utf-8") as out, os.fdopen(reading, encoding="utf-8") as answers:
        process = subprocess.Popen(
            [*argv, str(size.height_px), str(size.width_px)],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.STDOUT,
            pass_fds=[writing],
            text=True,
            env={**os.environ, **_HEAP, "ANSWERS": str(writing)},
        )
        os.close(writing)
        try:
            peers = Peers(method, (), "", process, answers, log)
            ready = _answer(peers)
            peers.names, peers.version = tuple(ready["inferencers"]), str(ready["anomalib"])
            yield peers
        finally:
            if process.stdin is not None:
                process.stdin.close()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answer(peers: Peers) -> dict[str, Any]:
    line = peers._answers.readline()  # noqa: SLF001 - a function of this module, for all of its own
    if not line:
        words = peers._log.read_text(encoding="utf-8", errors="replace")[-_LAST_WORDS:]  # noqa: SLF001
        raise ConfigError(f"anomalib's {peers.method} failed: {' '.join(words.split())}", _REMEDY)
    answer: dict[str, Any] = json.loads(line)
    return answer
