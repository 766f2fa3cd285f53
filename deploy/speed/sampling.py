"""Who uses the processor: seconds of each thread by the operating system, shared out by what samples find it doing."""

from __future__ import annotations

import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Mapping
from types import FrameType
from typing import Final, Self

import psutil

PERIOD_S: Final = 0.005
NATIVE: Final = "native helpers"
"""Threads that no Python code runs in: an engine's, and OpenCV's."""
ENGINE: Final = "engine"
_INFERENCE: Final = "inference"
_IDLE: Final = frozenset({"select", "_worker", "wait", "_wait_for_tstate_lock", "accept"})
_OWNERS: Final = (
    ("detector.", "detector"),
    ("ingest.", "ingest"),
    ("alerting.", "alerting"),
    ("shared.bus", "bus"),
    ("aiokafka", "bus"),
    ("shared.store", "store"),
    ("redis", "store"),
    ("shared.wire", "messages"),
    ("shared.metrics", "metrics"),
    ("prometheus_client", "metrics"),
    ("deploy.speed", "this benchmark"),
)


class Sampler:
    """Looks at all threads every few milliseconds while it is open; `seconds` then says who used the processor.

    The engine's own thread is the engine's, whatever it runs: decoding, and the model around the encoder.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._process = psutil.Process()
        self._stop = threading.Event()
        self._found: defaultdict[int, Counter[str]] = defaultdict(Counter)
        self._before: Mapping[int, float] = {}
        self._thread = threading.Thread(target=self._sample, name="sampler", daemon=True)

    def __enter__(self) -> Self:
        self._before = self._times()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        names = {one.native_id: one.name for one in threading.enumerate()}
        after = self._times()
        self._stop.set()
        self._thread.join()
        seconds: defaultdict[str, float] = defaultdict(float)
        for native, total_s in after.items():
            used_s = total_s - self._before.get(native, 0.0)
            name = names.get(native)
            if name == self._thread.name:
                continue
            if name is None:
                seconds[NATIVE] += used_s
            elif name.startswith(_INFERENCE):
                seconds[ENGINE] += used_s
            else:
                for owner, share in shares(self._found[native]).items():
                    seconds[owner] += used_s * share
        most_first = sorted(seconds.items(), key=lambda one: -one[1])
        self.seconds = {owner: used_s for owner, used_s in most_first if used_s > 0}

    def _times(self) -> dict[int, float]:
        return {one.id: one.user_time + one.system_time for one in self._process.threads()}

    def _sample(self) -> None:
        while not self._stop.wait(PERIOD_S):
            natives = {one.ident: one.native_id for one in threading.enumerate()}
            for ident, frame in sys._current_frames().items():  # noqa: SLF001 - the way that Python offers
                native = natives.get(ident)
                if native is not None and ident != threading.get_ident():
                    self._found[native][owner_of(frame)] += 1


def owner_of(frame: FrameType | None) -> str:
    """Return whose code a thread runs: the innermost of ours, or of the libraries that are somebody's alone."""
    if frame is None or frame.f_code.co_name in _IDLE:
        return ""
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        for prefix, owner in _OWNERS:
            if module.startswith(prefix):
                return owner
        frame = frame.f_back
    return "event loop"


def shares(found: Mapping[str, int]) -> dict[str, float]:
    """Return each owner's share of the samples that found a thread at work; all is the loop's where none did."""
    busy = {owner: count for owner, count in found.items() if owner}
    total = sum(busy.values())
    return {owner: count / total for owner, count in busy.items()} if total else {"event loop": 1.0}


def process_seconds(pid: int) -> float:
    """Return what another process has used so far."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
