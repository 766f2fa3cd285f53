"""What an alerting process costs: an hour of parts on a fast clock, and a while at the same rate on the real one."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import psutil

from deploy.adapters import make_store
from deploy.alerting_figures import AlertingFigures, Hour, Paced
from deploy.alerting_load import Load, run_load
from deploy.fast_clock import FastClock, run_fast
from shared.clock import NS_PER_MS, SystemClock
from shared.settings import Settings, StoreSettings
from shared.store.base import Store

_EMBEDDED: Final = "memory://"
_MIB: Final = 1024 * 1024


def bench_alerting(load: Load, *, store: str, paced_s: float) -> AlertingFigures:
    """Run the load on a fast clock, where the store is in this process, and its rate on the real one."""
    hour = run_fast(lambda clock: _hour(load, clock)) if store == _EMBEDDED else None
    slower = replace(load, parts=max(load.lines, round(load.parts * paced_s / load.seconds)), seconds=paced_s)
    paced = asyncio.run(_paced(slower, store))
    return AlertingFigures(load.lines, round(load.parts * 3_600 / load.seconds), hour, paced)


async def _hour(load: Load, clock: FastClock) -> Hour:
    memory: list[float] = []
    process = psutil.Process()
    settings = load.settings(_EMBEDDED)
    store = make_store(settings, clock=clock)
    began_s, began_ns = time.process_time(), clock.monotonic_ns()
    ran = await run_load(
        load, settings, clock=clock, store=store, watch=lambda: memory.append(process.memory_info().rss / _MIB)
    )
    cpu_s = time.process_time() - began_s
    await store.close()
    return Hour(
        counted=ran.counted,
        simulated_s=(clock.monotonic_ns() - began_ns) / 1e9,
        cpu_s=cpu_s,
        decide_p50_ms=_percentile(ran.latencies_ms, 50),
        decide_p99_ms=_percentile(ran.latencies_ms, 99),
        memory_mib=tuple(round(one, 1) for one in memory),
    )


async def _paced(load: Load, url: str) -> Paced:
    settings = _apart(load.settings(url))
    store = make_store(settings)
    await store.ping()
    began_s = time.process_time()
    ran = await run_load(load, settings, clock=SystemClock(), store=store, watch=lambda: None)
    cpu_s = time.process_time() - began_s
    decided_ms = await _decision_to_signal(settings, store, load)
    await store.close()
    return Paced(
        store="memory" if url == _EMBEDDED else "redis",
        counted=ran.counted,
        seconds=load.seconds,
        cpu_ms_a_part=1_000 * cpu_s / max(1, ran.counted.parts),
        verdict_p50_ms=_percentile(ran.latencies_ms, 50),
        verdict_p99_ms=_percentile(ran.latencies_ms, 99),
        decision_p50_ms=_percentile(decided_ms, 50),
        decision_p99_ms=_percentile(decided_ms, 99),
    )


def _apart(settings: Settings) -> Settings:
    """Return settings whose keys are nobody else's, and do not outlive the figures for long."""
    own = f"{settings.store.key_prefix}-{uuid.uuid4().hex[:8]}"
    changed = {**settings.store.model_dump(), "key_prefix": own, "part_retention_s": 600, "picture_ttl_s": 60}
    return settings.model_copy(update={"store": StoreSettings(**changed)})


async def _decision_to_signal(settings: Settings, store: Store, load: Load) -> list[float]:
    decisions = [
        decision
        for line in settings.lines
        for decision in await store.decisions(line.name, newest=load.parts_a_line)
        if "signalled" in decision.stamps_ns
    ]
    return [(one.stamps_ns["signalled"] - one.stamps_ns["decided"]) / NS_PER_MS for one in decisions]


def _percentile(values: Sequence[float], percent: int) -> float:
    """Return the nearest rank; of nothing, infinity."""
    if not values:
        return float("inf")
    return sorted(values)[max(0, -(-len(values) * percent // 100) - 1)]
