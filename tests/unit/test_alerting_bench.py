"""The measurement of the alerting service: its load is what it says, and it fails where one core is not enough."""

from __future__ import annotations

import json
from dataclasses import replace

from deploy.adapters import make_store
from deploy.alerting_bench import AlertingFigures, Hour, Paced
from deploy.alerting_load import Load, Ran, run_load
from deploy.fast_clock import FastClock, run_fast

LOAD = Load(lines=3, parts=100, seconds=40.0, seed=11)
HOUR = Hour(100_000, 3_600.0, 200.0, 0.0, 0.0, (90.0,) * 60, balanced=True)
PACED = Paced("memory", 100, 30.0, 2.0, 1.0, 2.0, 0.5, 0.9, balanced=True)
FIGURES = AlertingFigures(8, 100_000, HOUR, PACED)


def test_a_load_runs_to_its_end_in_simulated_time() -> None:
    """Every line sees its share, most parts pass, ledgers and gates agree, and no timer delays a signal."""
    looks: list[int] = []

    async def work(clock: FastClock) -> Ran:
        settings = LOAD.settings("memory://")
        store = make_store(settings)
        ran = await run_load(LOAD, settings, clock=clock, store=store, watch=lambda: looks.append(1))
        await store.close()
        return ran

    ran = run_fast(work)
    assert ran.balanced
    assert [counts.announced for counts in ran.counters] == [34, 34, 34]
    counted = [(sum(one.rejected for one in ran.counters), sum(one.defaulted for one in ran.counters))]
    assert counted == [(3, 2)]
    assert len(ran.latencies_ms) >= 95
    assert max(ran.latencies_ms) == 0.0
    assert looks == [1]


def test_figures_are_sound_within_a_core() -> None:
    """More CPU than time, in the hour or on the real clock, or a ledger that does not balance, is not."""
    assert FIGURES.sound
    assert replace(FIGURES, hour=None).sound
    assert not replace(FIGURES, hour=replace(HOUR, cpu_s=3_600.0)).sound
    assert not replace(FIGURES, hour=replace(HOUR, balanced=False)).sound
    assert not replace(FIGURES, paced=replace(PACED, cpu_ms_a_part=36.0)).sound
    assert not replace(FIGURES, paced=replace(PACED, balanced=False)).sound


def test_figures_have_stable_names() -> None:
    """Scripts read them."""
    found = json.loads(json.dumps(FIGURES.to_json()))
    assert (found["hour"]["cpu_ms_a_part"], found["hour"]["memory_growth"], found["sound"]) == (2.0, 0.0, True)
    assert found["paced"]["decision_p99_ms"] == 0.9
    assert replace(HOUR, memory_mib=(90.0,) * 39).memory_growth is None
    assert FIGURES.table().row_count == replace(FIGURES, hour=None).table().row_count + 7
