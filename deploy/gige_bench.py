"""`linewarden bench gige`: the GigE Vision adapter against Aravis' software camera, and the bounds it must hold."""

from __future__ import annotations

import asyncio
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
from pydantic import SecretStr

from deploy.bounds import Bound
from deploy.gige_figures import GigeFigures, Tally
from deploy.servers.gige import SoftwareCamera
from deploy.servers.ports import LOOPBACK
from ingest.sources.base import Fault, Shot
from ingest.sources.gige.aravis import AravisCamera
from ingest.sources.gige.source import GigeSource
from shared.camera_settings import CameraSettings, GigeSettings
from shared.clock import SystemClock
from shared.errors import SourceUnavailableError

FPS: Final = 30.0
# The software camera itself skips a turn when it is woken late; what it did send is numbered without a gap.
_LEAST_FPS: Final = 0.95 * FPS
NOTICE_MS: Final = 500.0
_SMALL_PX: Final = (0, 0, 640, 480)
_LOST_PER_THOUSAND: Final = 1
_LOSSY_FRAMES: Final = 500
_SILENCE_S: Final = 1.0
_LET_GO_S: Final = 30.0


async def bench_gige(*, minutes: float, triggers: int, kills: int) -> GigeFigures:
    """Run all phases one after the other, each with a camera of its own on 127.0.0.1."""
    bounds: list[Bound] = []
    phases: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="linewarden-gige-") as folder:
        for name, phase in (
            ("free run", partial(_free_run, minutes=minutes)),
            ("triggers", partial(_triggers, triggers=triggers)),
            ("lost packets", _lost_packets),
            ("killed camera", partial(_killed, kills=kills)),
        ):
            phases[name.replace(" ", "_")], found = await phase(Path(folder))
            bounds += [Bound(name, *one) for one in found]
    return GigeFigures(tuple(bounds), phases)


_Phase = tuple[dict[str, Any], list[tuple[str, str, str, bool]]]


async def _free_run(folder: Path, minutes: float) -> _Phase:
    source = _source(pixel_format="Mono8", region_px=(0, 0, 1_280, 1_024), frame_rate_hz=FPS, buffers=16)
    tally = Tally()
    process = psutil.Process()
    with SoftwareCamera(folder):
        await source.open()
        try:
            tally.take(await _shot(source))
            since_s, cpu_s = time.monotonic(), sum(process.cpu_times()[:2])
            memory_mib = process.memory_info().rss / 2**20
            while time.monotonic() - since_s < minutes * 60:
                tally.take(await _shot(source))
            took_s = time.monotonic() - since_s
            cpu_s = sum(process.cpu_times()[:2]) - cpu_s
        finally:
            await source.close()
    fps = (tally.good + tally.faults.total() - 1) / took_s
    lost = tally.faults.total() + tally.unaccounted
    figures = {
        "seconds": round(took_s, 1),
        "pictures": tally.good,
        "faults": dict(tally.faults),
        "unaccounted": tally.unaccounted,
        "with_hole": tally.holed,
        "fps": round(fps, 2),
        "exposure_to_read_ms": _spread(tally.latencies_ms),
        "cpu_percent_of_a_core": round(100 * cpu_s / took_s, 1),
        "memory_growth_mib": round(process.memory_info().rss / 2**20 - memory_mib, 1),
        "counts": dict(source.counts),
    }
    size = f"{minutes:g} min of 1280x1024 Mono8"
    return figures, [
        (f"pictures a second, {size}", f"{fps:.1f}", f">= {_LEAST_FPS:.1f}", fps >= _LEAST_FPS),
        ("frames lost or broken", str(lost), "0", lost == 0),
        ("pictures with a hole", str(tally.holed), "0", tally.holed == 0),
    ]


async def _triggers(folder: Path, triggers: int) -> _Phase:
    source = _source(trigger="software", region_px=_SMALL_PX)
    tally, taken_ms, more = Tally(), [], 0
    with SoftwareCamera(folder):
        await source.open()
        try:
            for _ in range(triggers):
                since_s = time.monotonic()
                await source.trigger()
                tally.take(await _shot(source))
                taken_ms.append((time.monotonic() - since_s) * 1e3)
            try:
                while True:
                    await asyncio.wait_for(source.read(), _SILENCE_S)
                    more += 1
            except TimeoutError:
                pass
        finally:
            await source.close()
    figures = {
        "triggers": triggers,
        "pictures": tally.good,
        "faults": dict(tally.faults),
        "untriggered": more,
        "trigger_to_read_ms": _spread(taken_ms),
    }
    exact = tally.good == triggers and not more and not tally.faults
    return figures, [
        (f"pictures for {triggers:,} software triggers", f"{tally.good + more:,}", f"{triggers:,}", exact),
        ("pictures with a hole", str(tally.holed), "0", tally.holed == 0),
    ]


async def _lost_packets(folder: Path) -> _Phase:
    source = _source(region_px=_SMALL_PX, frame_rate_hz=50.0)
    tally = Tally()
    with SoftwareCamera(folder, lost_per_thousand=_LOST_PER_THOUSAND):
        await source.open()
        try:
            for _ in range(_LOSSY_FRAMES):
                tally.take(await _shot(source))
        finally:
            await source.close()
    incomplete = tally.faults[Fault.INCOMPLETE]
    figures = {
        "lost_packets_per_thousand": _LOST_PER_THOUSAND,
        "pictures": tally.good,
        "faults": dict(tally.faults),
        "with_hole": tally.holed,
        "unaccounted": tally.unaccounted,
        "counts": dict(source.counts),
    }
    return figures, [
        (f"incomplete frames told, of {_LOSSY_FRAMES}", str(incomplete), "> 0", incomplete > 0),
        ("pictures with a hole", str(tally.holed), "0", tally.holed == 0),
        ("frames neither picture nor fault", str(tally.unaccounted), "0", tally.unaccounted == 0),
    ]


async def _killed(folder: Path, kills: int) -> _Phase:
    source = _source(region_px=_SMALL_PX, frame_rate_hz=FPS)
    camera = SoftwareCamera(folder)
    noticed_ms: list[float] = []
    silent_ms: list[float] = []
    recovered_ms: list[float] = []
    bound_ms = NOTICE_MS + 1e3 / FPS
    camera.start()
    try:
        await source.open()
        await _shot(source)
        before = _resources()
        for index in range(kills):
            # A killed one's host says at once that nobody is there; one that stands still is only silent, as a real
            # camera is whose plug is pulled.
            silent = bool(index % 2)
            camera.freeze() if silent else camera.kill9()
            (silent_ms if silent else noticed_ms).append(await _until_lost(source))
            await source.close()
            camera.kill9()
            camera.start()
            recovered_ms.append(await _until_back(source))
        after = await asyncio.to_thread(_settled, before)
    finally:
        await source.close()
        camera.stop()
    figures = {
        "noticed_ms": [round(one, 1) for one in noticed_ms],
        "noticed_by_silence_ms": [round(one, 1) for one in silent_ms],
        "recovered_ms": [round(one, 1) for one in recovered_ms],
        "descriptors_and_threads_before": before,
        "descriptors_and_threads_after": after,
    }
    worst_ms, silent_worst_ms, back = max(noticed_ms), max(silent_ms, default=0.0), len(recovered_ms)
    more = (after[0] - before[0], after[1] - before[1])
    return figures, [
        ("noticed when killed, worst, ms", f"{worst_ms:.0f}", f"<= {bound_ms:.0f}", worst_ms <= bound_ms),
        ("noticed when silent, worst, ms", f"{silent_worst_ms:.0f}", f"<= {bound_ms:.0f}", silent_worst_ms <= bound_ms),
        ("recovered", f"{back}, worst in {max(recovered_ms):.0f} ms", str(kills), back == kills),
        ("descriptors, threads more", f"{more[0]}, {more[1]}", "0, 0", max(more) <= 0),
    ]


def _source(**features: object) -> GigeSource:
    camera = CameraSettings(source=SecretStr(f"gige://{LOOPBACK}"), gige=GigeSettings.model_validate(features))
    return GigeSource(camera, SystemClock(), AravisCamera, (LOOPBACK,))


async def _shot(source: GigeSource) -> Shot:
    shot = await source.read()
    assert shot is not None  # noqa: S101 - a source without limit never ends
    return shot


async def _until_lost(source: GigeSource) -> float:
    """Return after how many milliseconds the source tells that its camera is lost."""
    since_s = time.monotonic()
    try:
        while True:
            await source.read()
    except SourceUnavailableError:
        return (time.monotonic() - since_s) * 1e3


async def _until_back(source: GigeSource) -> float:
    """Return after how many milliseconds a source whose camera runs again gives a picture."""
    since_s = time.monotonic()
    while True:
        try:
            await source.open()
            await _shot(source)
            return (time.monotonic() - since_s) * 1e3
        except SourceUnavailableError:
            await source.close()
            await asyncio.sleep(0.05)


def _spread(values: list[float]) -> dict[str, float]:
    names = ("median", "p99", "worst")
    return dict(zip(names, (round(float(one), 2) for one in np.percentile(values, (50, 99, 100))), strict=True))


def _resources() -> tuple[int, int]:
    """Return how many descriptors and threads this process has, those of libraries included."""
    process = psutil.Process()
    return process.num_fds(), process.num_threads()


def _settled(before: tuple[int, int]) -> tuple[int, int]:
    """Return the descriptors and threads once there are no more than before, or after 30 s.

    So long Aravis takes to let go of the cameras that were killed.
    """
    until_s = time.monotonic() + _LET_GO_S
    while True:
        now = _resources()
        if (now[0] <= before[0] and now[1] <= before[1]) or time.monotonic() > until_s:
            return now
        time.sleep(0.1)
