"""The engine with nothing around it: frames that lie ready, decoded and inspected one after the other."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from detector.decode import decode_frame
from shared.clock import NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deploy.speed.frame import Frame
    from detector.model.base import Model


@dataclass(frozen=True, slots=True)
class Alone:
    """A turn: how many frames in how many seconds, and what each one took."""

    frames: int
    seconds: float
    times_ms: tuple[float, ...]

    @property
    def per_s(self) -> float:
        """Return the frames inspected each second."""
        return self.frames / self.seconds


class BareEngine:
    """One model in a thread of its own, as a detector has it."""

    def __init__(self, model: Model, frames: Sequence[Frame]) -> None:
        self._model = model
        self.frames = frames
        self._number = 0
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bare")

    async def flow(self, seconds: float) -> Alone:
        """Inspect without a pause for so long."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._flow, seconds)

    async def paced(self, seconds: float, *, fps: float) -> Alone:
        """Inspect a frame every 1 / `fps` seconds."""
        began = time.perf_counter_ns()
        times_ms = []
        for number in range(round(seconds * fps)):
            wait_ns = began + number / fps * NS_PER_S - time.perf_counter_ns()
            await asyncio.sleep(max(0.0, wait_ns / NS_PER_S))
            took_ns = await asyncio.get_running_loop().run_in_executor(self._thread, self._one)
            times_ms.append(took_ns / NS_PER_MS)
        return Alone(len(times_ms), (time.perf_counter_ns() - began) / NS_PER_S, tuple(times_ms))

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()

    def _flow(self, seconds: float) -> Alone:
        began = time.perf_counter_ns()
        times_ms = []
        while (now := time.perf_counter_ns()) < began + seconds * NS_PER_S:
            times_ms.append(self._one() / NS_PER_MS)
        return Alone(len(times_ms), (now - began) / NS_PER_S, tuple(times_ms))

    def _one(self) -> int:
        frame = self.frames[self._number % len(self.frames)]
        self._number += 1
        began = time.perf_counter_ns()
        self._model.inspect([decode_frame(frame.message, frame.payload)])
        return time.perf_counter_ns() - began
