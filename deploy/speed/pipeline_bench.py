"""`linewarden bench pipeline`: a whole line in this process against its bare engine, in one run on the same cores."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deploy.servers.kafka import KafkaServer
from deploy.simulated_line import simulated_plc
from deploy.speed.bare_engine import BareEngine
from deploy.speed.cores import on_cores
from deploy.speed.detector_alone import Footprint, detector_alone
from deploy.speed.pipeline_figures import Latency, PipelineFigures, Sustained, latency_of, sustained_of
from deploy.speed.recipe import loaded
from deploy.speed.running_line import line_settings, running_line
from deploy.speed.sampling import Sampler, process_seconds
from deploy.speed.subjects import frames, trained
from detector.runtime.base import OPENVINO
from shared.clock import SystemClock
from shared.domain import GateMode
from shared.wire import Encoding

if TYPE_CHECKING:
    from detector.model.lens import Size

_DIFFERENT: Final = 24
_WINDOW: Final = 16
_WARM_UP_S: Final = 1.0
_BROKER: Final = "broker"
_MEMORY: Final = "memory"
_KAFKA: Final = "kafka"
_ALONE: Final = 50
# What `linewarden train` exports by itself.
_TRAINED_FOR: Final = (OPENVINO,)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured: `rounds` turns of `seconds` each, latency at `fps`, on `kafka` too or the memory bus alone.

    Without an `encoding` frames travel as they do by default on each bus.
    """

    size: Size
    encoding: Encoding | None
    threads: int
    cores: int
    seconds: float
    rounds: int
    fps: float
    kafka: bool

    def encoding_on(self, bus: str) -> Encoding:
        """Return how frames travel on one of the buses."""
        return self.encoding or (Encoding.RAW if bus == _MEMORY else Encoding.JPEG)

    @property
    def setting(self) -> str:
        """Return the camera's setting for that."""
        return "auto" if self.encoding is None else self.encoding.value


async def bench_pipeline(model: str, plan: Plan, on_progress: Callable[[str, int, int], None]) -> PipelineFigures:
    """Measure it; `model` as in `trained`. Raises `ServerError` for what this machine lacks."""
    with ExitStack() as stack:
        cores = stack.enter_context(on_cores(plan.cores))
        folder = stack.enter_context(trained(model, plan.size, on_progress, _TRAINED_FOR))
        settings = line_settings(folder, threads=plan.threads)
        whole = loaded(settings.detector)

        def bare(bus: str) -> BareEngine:
            engine = BareEngine(whole, frames(_DIFFERENT, plan.size, encoding=plan.encoding_on(bus)))
            stack.callback(engine.close)
            return engine

        embedded = bare(_MEMORY)
        sustained = [await _sustained(_MEMORY, "memory://", folder, embedded, plan, on_progress)]
        latency = await _latency(folder, embedded, plan, on_progress)
        footprint: Footprint | None = None
        if plan.kafka:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="linewarden-pipeline-")))
            with KafkaServer(scratch / "kafka") as server:
                networked = bare(_KAFKA)
                more = await _sustained(_KAFKA, server.url, folder, networked, plan, on_progress, broker=server.pid)
                sustained.append(more)
                footprint = await detector_alone(
                    scratch, folder.resolve(), networked.frames, bus=server.url, threads=plan.threads, count=_ALONE
                )
        return PipelineFigures(
            model=whole.profile,
            picture_px=(plan.size.height_px, plan.size.width_px),
            threads=plan.threads,
            cores=cores,
            sustained=tuple(sustained),
            latency=latency,
            footprint=footprint,
        )


async def _sustained(
    name: str,
    bus: str,
    folder: Path,
    bare: BareEngine,
    plan: Plan,
    on_progress: Callable[[str, int, int], None],
    *,
    broker: int | None = None,
) -> Sustained:
    encoding = plan.encoding_on(name)
    settings = line_settings(folder, threads=plan.threads, encoding=plan.setting, bus=bus)
    async with running_line([frame.pixels for frame in bare.frames], settings) as line:
        await line.flow(_WARM_UP_S, window=_WINDOW)
        alone, flows = [], []
        for turn in range(plan.rounds):
            alone.append(await bare.flow(plan.seconds))
            flows.append(await line.flow(plan.seconds, window=_WINDOW))
            on_progress(f"{name}: turns", turn + 1, plan.rounds)
        before_s = 0.0 if broker is None else process_seconds(broker)
        with Sampler() as sampler:
            profiled = await line.flow(plan.seconds, window=_WINDOW)
        used_s = dict(sampler.seconds)
        if broker is not None:
            used_s[_BROKER] = process_seconds(broker) - before_s
    return sustained_of(name, encoding.value, alone, flows, profiled, used_s)


async def _latency(folder: Path, bare: BareEngine, plan: Plan, on_progress: Callable[[str, int, int], None]) -> Latency:
    async with simulated_plc(GateMode.PASS_ASSERTED, SystemClock()) as plc:
        settings = line_settings(folder, threads=plan.threads, encoding=plan.setting, signal=plc.url)
        async with running_line([frame.pixels for frame in bare.frames], settings) as line:
            await line.paced(_WARM_UP_S, fps=plan.fps)
            alone, flows = [], []
            for turn in range(plan.rounds):
                alone.append(await bare.paced(plan.seconds, fps=plan.fps))
                flows.append(await line.paced(plan.seconds, fps=plan.fps))
                on_progress(f"{plan.fps:g} fps: turns", turn + 1, plan.rounds)
    return latency_of(plan.fps, alone, flows)
