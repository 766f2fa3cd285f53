"""The detector's role as a process of its own: how soon its first verdict is there, and what it holds in memory."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from deploy.adapters import adapters_for
from deploy.servers.child import ChildProcess
from deploy.speed.running_line import LINE
from shared.clock import NS_PER_S
from shared.domain import Capture, CaptureId
from shared.envelope import capture_headers
from shared.errors import ServerError, WireError
from shared.settings import load
from shared.topics import camera_key
from shared.wire import VerdictMessage, decode, encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deploy.adapters import Adapters
    from deploy.speed.frame import Frame
    from shared.bus.base import Subscription
    from shared.settings import Settings

_MIB: Final = 1024 * 1024
_FAR_NS: Final = 600 * NS_PER_S
_WAIT_S: Final = 120.0
_POLL_S: Final = 0.01
_STOP_S: Final = 10.0
_TORCH: Final = "libtorch"
_SETTINGS: Final = """\
[bus]
url = "{bus}"
topic_prefix = "{prefix}"

[detector]
model = "{model}"
threads = {threads}
evidence = {{ shelf_mib = 0 }}

[[lines]]
name = "{line}"
gate_delay_ms = 1500
cameras = [{{ name = "camera" }}]
"""


@dataclass(frozen=True, slots=True)
class Footprint:
    """A detector process after some frames; `first_verdict_s` is from its start to hearing the first verdict."""

    first_verdict_s: float
    resident_mib: float
    torch_loaded: bool
    frames: int


async def detector_alone(
    folder: Path, model: Path, frames: Sequence[Frame], *, bus: str, threads: int, count: int
) -> Footprint:
    """Start the role on a Kafka `bus` where a frame waits already, then send `count` more; its files go to `folder`.

    `model` is an absolute path, as `folder` is.

    ServerError with the end of its log where it does not answer.
    """
    prefix = f"alone-{time.time_ns():x}"
    config = folder / f"{prefix}.toml"
    text = _SETTINGS.format(bus=bus, prefix=prefix, model=model, threads=threads, line=LINE)
    config.write_text(text, encoding="utf-8")
    settings = load(config)
    async with adapters_for(settings) as adapters:
        ears = await adapters.bus.subscribe([settings.topics.verdicts], group="ears", member="ears")
        try:
            await _send(settings, adapters, frames, 0)
            began = time.perf_counter()
            argv = [sys.executable, "-m", "deploy.cli", "run", "--config", str(config), "--role", "detector"]
            process = ChildProcess(argv, folder / f"{prefix}.log")
            try:
                await _heard(ears, process, 1)
                first_s = time.perf_counter() - began
                for number in range(1, 1 + count):
                    await _send(settings, adapters, frames, number)
                await _heard(ears, process, count)
                seen = psutil.Process(process.pid)
                mapped = any(_TORCH in one.path for one in seen.memory_maps())
                return Footprint(first_s, seen.memory_info().rss / _MIB, mapped, count + 1)
            finally:
                await asyncio.to_thread(process.stop, _STOP_S)
        finally:
            await ears.close()


async def _send(settings: Settings, adapters: Adapters, frames: Sequence[Frame], number: int) -> None:
    frame = frames[number % len(frames)]
    now_ns = adapters.clock.utc_ns()
    capture = Capture(CaptureId(LINE, "camera", 1, number + 1), f"part-{number}", now_ns, now_ns + _FAR_NS)
    await adapters.bus.publish(
        settings.topics.frames,
        encode(replace(frame.message, capture=capture), frame.payload),
        key=camera_key(LINE, "camera"),
        partition=adapters.plan.plan.of_camera(LINE, "camera", number + 1),
        headers=capture_headers(capture, "frame"),
    )


async def _heard(ears: Subscription, process: ChildProcess, count: int) -> None:
    left, give_up = count, time.perf_counter() + _WAIT_S
    while left > 0:
        for record in await ears.poll(max_records=100, timeout_s=_POLL_S):
            with suppress(WireError):
                left -= not decode(VerdictMessage, record.value)[0].repeats
        if not process.running or time.perf_counter() > give_up:
            raise ServerError(
                f"The detector's process answered {count - left} of {count} frames: {process.log_tail()[-600:]}",
                "Try `linewarden run --role detector` by itself.",
            )
