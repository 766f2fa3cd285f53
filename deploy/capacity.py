"""How many detector replicas a plant needs: the batcher that detectors run, driven through simulated time.

Replicas share nothing but the bus, so that a plant is as many replicas as it takes to keep each one's cameras within
what one was seen to serve. One replica's engine, queue and costs are simulated; the bus is a delay before and after it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.batching import PUBLISH_MARGIN_NS, Batcher, CostModel
from shared.clock import NS_PER_MS, NS_PER_S
from shared.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

_Z99: Final = 2.3263478740408408
"""The normal distribution's 99th percentile, in standard deviations."""
_BITS: Final = 8
_KIB: Final = 1024
_WARM_UP: Final = 0.2
_MOST_CAMERAS: Final = 10_000_000
_MOST_SHARES: Final = 64
"""The most partitions that a camera can have."""
_SPREAD_LIMIT: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Delay:
    """A time that varies: log-normal, by its median and 99th percentile in milliseconds."""

    median_ms: float
    p99_ms: float

    def __post_init__(self) -> None:
        if not 0 <= self.median_ms <= self.p99_ms or not math.isfinite(self.p99_ms):
            raise ConfigError(
                f"a delay of median {self.median_ms} ms and 99th percentile {self.p99_ms} ms",
                "Give a median of at least 0 and a 99th percentile that is no smaller.",
            )

    def draw_ns(self, rng: np.random.Generator) -> int:
        """Return one such time in nanoseconds."""
        if self.p99_ms - self.median_ms < _SPREAD_LIMIT or not self.median_ms:
            return round(self.median_ms * NS_PER_MS)
        sigma = math.log(self.p99_ms / self.median_ms) / _Z99
        return round(self.median_ms * math.exp(sigma * float(rng.standard_normal())) * NS_PER_MS)


@dataclass(frozen=True, slots=True)
class Costs:
    """What was measured: a batch of 1, 2, ... frames at the engine, and the way to it and from it to the signal."""

    batches: tuple[Delay, ...]
    to_engine: Delay
    to_signal: Delay

    def __post_init__(self) -> None:
        if not self.batches or not all(batch.median_ms > 0 for batch in self.batches):
            raise ConfigError("the costs name no batch, or one without a cost", "Measure them: bench engine.")


@dataclass(frozen=True, slots=True)
class Load:
    """Cameras of one kind: parts a second, the time from exposure to `decide_by`, and an encoded frame's size."""

    cameras: int
    fps: float
    deadline_ms: float
    frame_kib: float

    def __post_init__(self) -> None:
        figures = (self.fps, self.deadline_ms, self.frame_kib)
        if not 1 <= self.cameras <= _MOST_CAMERAS or not all(0 < figure < math.inf for figure in figures):
            raise ConfigError(
                f"a load of {self.cameras} cameras, {self.fps} fps, {self.deadline_ms} ms and {self.frame_kib} KiB",
                f"Give 1 to {_MOST_CAMERAS} cameras, and figures above 0.",
            )


@dataclass(frozen=True, slots=True)
class Served:
    """What one replica did with some cameras. Latency is from exposure to signal, of frames that got their verdict."""

    cameras: int
    offered_fps: float
    served_fps: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    missed: int
    frames: int
    busy: float

    @property
    def sound(self) -> bool:
        """Whether every frame had its verdict in time."""
        return self.missed == 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a load needs. `each` is how the fullest replica fares, `headroom` how much more it could take.

    A camera that is too much for one replica has `partitions_each` partitions; `streams_each` is how many the fullest
    replica reads.
    """

    load: Load
    partitions_each: int
    replicas: int
    streams_each: int
    headroom: float
    partitions: int
    broker_in_mbit_s: float
    broker_out_mbit_s: float
    each: Served


@dataclass(frozen=True, slots=True)
class _Frame:
    camera: str
    size_bytes: int
    due_ns: int
    arrived_ns: int
    captured_ns: int


def simulate(load: Load, costs: Costs, *, max_batch: int, linger_ms: float, seconds: float, seed: int) -> Served:
    """Run one replica on all of a load's cameras for some simulated seconds; the first fifth is not counted.

    Cameras run exactly at their rate, at phases that are the seed's first uniform draws.
    """
    rng = np.random.default_rng(seed)
    cost = CostModel()
    batcher: Batcher[_Frame] = Batcher(max_batch=max_batch, linger_ns=round(linger_ms * NS_PER_MS), cost=cost)
    coming = sorted(_frames(load, costs, seconds, rng), key=lambda frame: frame.arrived_ns)
    counted_from_ns, end_ns = round(seconds * _WARM_UP * NS_PER_S), round(seconds * NS_PER_S)
    latencies_ms: list[float] = []
    missed = frames = busy_ns = now_ns = taken = 0
    while taken < len(coming) or len(batcher):
        while taken < len(coming) and coming[taken].arrived_ns <= now_ns:
            batcher.add(coming[taken])
            taken += 1
        for frame in batcher.take_expired(now_ns):
            if frame.captured_ns >= counted_from_ns:
                missed, frames = missed + 1, frames + 1
        wait_ns = batcher.closes_in_ns(now_ns)
        if wait_ns != 0:
            until = [] if wait_ns is None else [now_ns + wait_ns]
            until += [coming[taken].arrived_ns] if taken < len(coming) else []
            now_ns = min(until, default=now_ns)
            continue
        batch = batcher.take(now_ns)
        took_ns = costs.batches[min(len(batch), len(costs.batches)) - 1].draw_ns(rng)
        cost.observe(len(batch), took_ns)
        busy_ns += max(0, min(now_ns + took_ns, end_ns) - max(now_ns, counted_from_ns))
        now_ns += took_ns
        for frame in batch:
            if frame.captured_ns < counted_from_ns:
                continue
            frames += 1
            latency_ns = now_ns + costs.to_signal.draw_ns(rng) - frame.captured_ns
            latencies_ms.append(latency_ns / NS_PER_MS)
            missed += latency_ns > load.deadline_ms * NS_PER_MS
    counted_s = seconds * (1 - _WARM_UP)
    ranks = (50, 95, 99)
    p50, p95, p99 = (float(value) for value in np.percentile(latencies_ms, ranks)) if latencies_ms else [math.inf] * 3
    return Served(
        cameras=load.cameras,
        offered_fps=load.cameras * load.fps,
        served_fps=(frames - missed) / counted_s,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        missed=missed,
        frames=frames,
        busy=busy_ns / NS_PER_S / counted_s,
    )


def most_cameras(load: Load, costs: Costs, *, max_batch: int, linger_ms: float, seconds: float, seed: int) -> int:
    """Return how many cameras of a load's kind one replica serves with every verdict in time; 0 if not even one."""

    def sound(cameras: int) -> bool:
        fewer = replace(load, cameras=cameras)
        return simulate(fewer, costs, max_batch=max_batch, linger_ms=linger_ms, seconds=seconds, seed=seed).sound

    known, unknown = 0, 1
    while unknown <= load.cameras and sound(unknown):
        known, unknown = unknown, unknown * 2
    unknown = min(unknown, load.cameras + 1)
    while unknown - known > 1:
        middle = (known + unknown) // 2
        known, unknown = (middle, unknown) if sound(middle) else (known, middle)
    return known


def plan(
    load: Load,
    costs: Costs,
    *,
    max_batch: int = 8,
    linger_ms: float = 0.0,
    reserve: float = 0.1,
    replication: int = 3,
    seconds: float = 60.0,
    seed: int = 0,
) -> Plan:
    """Return the fewest replicas that serve a load with a `reserve` of each one's cameras kept free.

    A camera that is too much for one is shared by as many partitions as it takes. ConfigError says by how much a camera
    is too much even so.
    """

    def served(streams: Load) -> Served:
        return simulate(streams, costs, max_batch=max_batch, linger_ms=linger_ms, seconds=seconds, seed=seed)

    for shares in range(1, _MOST_SHARES + 1):
        # The captures of a camera take its partitions in turn.
        streams = replace(load, cameras=load.cameras * shares, fps=load.fps / shares)
        most = most_cameras(streams, costs, max_batch=max_batch, linger_ms=linger_ms, seconds=seconds, seed=seed)
        if most:
            break
    else:
        alone = served(replace(load, cameras=1))
        raise ConfigError(
            f"one camera is too much for {_MOST_SHARES} replicas: of one, {alone.missed} of {alone.frames} verdicts "
            f"would be late (median {alone.p50_ms:.0f} ms, the engine {alone.busy:.0%} busy)",
            "Give it a longer deadline, fewer parts a second, a lighter profile or a faster machine.",
        )
    replicas = math.ceil(streams.cameras / max(1, math.floor(most * (1 - reserve))))
    each = math.ceil(streams.cameras / replicas)
    frames_mbit_s = load.cameras * load.fps * load.frame_kib * _KIB * _BITS / 1e6
    return Plan(
        load=load,
        partitions_each=shares,
        replicas=replicas,
        streams_each=each,
        headroom=most / each - 1,
        partitions=streams.cameras,
        broker_in_mbit_s=frames_mbit_s,
        # Every frame goes to one detector, and from its leader to each of the other replicas of its partition.
        broker_out_mbit_s=frames_mbit_s * replication,
        each=served(replace(streams, cameras=each)),
    )


def _frames(load: Load, costs: Costs, seconds: float, rng: np.random.Generator) -> Iterator[_Frame]:
    period_ns = NS_PER_S / load.fps
    end_ns = seconds * NS_PER_S
    for camera, phase in enumerate(rng.uniform(0, 1, load.cameras)):
        captured_ns = float(phase) * period_ns
        while captured_ns < end_ns:
            at_ns = round(captured_ns)
            yield _Frame(
                camera=str(camera),
                size_bytes=round(load.frame_kib * _KIB),
                due_ns=at_ns + round(load.deadline_ms * NS_PER_MS) - PUBLISH_MARGIN_NS,
                arrived_ns=at_ns + costs.to_engine.draw_ns(rng),
                captured_ns=at_ns,
            )
            captured_ns += period_ns
