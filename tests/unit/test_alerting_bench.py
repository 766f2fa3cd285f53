"""The measurement of the alerting service: its load is what it says, and it fails where one core is not enough."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from deploy.adapters import make_store
from deploy.alerting_bench import bench_alerting
from deploy.alerting_figures import AlertingFigures, Hour, Paced
from deploy.alerting_load import Counted, Load, Made, Ran, run_load
from deploy.fast_clock import FastClock, run_fast

LOAD = Load(lines=3, parts=100, seconds=40.0, seed=11)
COUNTED = Counted(made=100_000, parts=100_000, unjudged=500, astray=0, balanced=True)
HOUR = Hour(COUNTED, 3_600.0, 200.0, 0.0, 0.0, (90.0,) * 60)
PACED = Paced("memory", replace(COUNTED, made=1_000, parts=1_000, unjudged=5), 30.0, 2.0, 1.0, 2.0, 0.5, 0.9)
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
    assert sum(one.good for one in ran.made) == sum(one.passed for one in ran.counters) == 97
    assert ran.counted == Counted(made=102, parts=102, unjudged=2, astray=0, balanced=True)
    told = ran.made[0]
    as_bad = replace(ran, made=(Made(told.good - 1, told.bad + 1, told.silent), *ran.made[1:]))
    assert as_bad.counted.astray == 1
    assert len(ran.latencies_ms) >= 95
    assert max(ran.latencies_ms) == 0.0
    assert looks == [1]


def test_figures_are_sound_within_their_bounds() -> None:
    """Each bound of the hour and of the real clock can be missed, and is then the only one."""
    assert FIGURES.sound
    assert replace(FIGURES, hour=None).sound
    for counted, name in (
        (replace(COUNTED, made=100_001), "parts"),
        (replace(COUNTED, unjudged=2_001), "parts that nobody judged"),
        (replace(COUNTED, astray=501), "parts counted otherwise than judged"),
        (replace(COUNTED, balanced=False), "ledgers and gates agree"),
    ):
        assert missed(replace(FIGURES, hour=replace(HOUR, counted=counted))) == ["simulated: " + name]
        assert missed(replace(FIGURES, paced=replace(PACED, counted=counted))) == ["real time, store memory: " + name]
    for hour, name in (
        (replace(HOUR, cpu_s=3_601.0), "processor, s"),
        (replace(HOUR, decide_p99_ms=10.1), "verdict to"),
    ):
        assert [one.startswith(f"simulated: {name}") for one in missed(replace(FIGURES, hour=hour))] == [True]
    for paced, name in (
        (replace(PACED, cpu_ms_a_part=36.1), "processor, ms a part"),
        (replace(PACED, decision_p99_ms=10.1), "decision to signal, p99, ms"),
    ):
        assert missed(replace(FIGURES, paced=paced)) == ["real time, store memory: " + name]
    astray = replace(FIGURES, hour=replace(HOUR, counted=replace(COUNTED, astray=1)))
    assert missed(astray) == ["simulated: parts counted otherwise than judged"]


def missed(figures: AlertingFigures) -> list[str]:
    """Return the bounds that are not held."""
    return [f"{bound.phase}: {bound.name}" for bound in figures.bounds if not bound.held]


def test_a_load_that_nobody_judges_is_not_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ledgers balance just as well where every part goes out by default, and nothing was measured."""
    monkeypatch.setattr("deploy.alerting_load._SILENT", 1.0)
    figures = bench_alerting(Load(2, 60, 30.0, 0), store="memory://", paced_s=1)
    assert figures.hour is not None
    assert figures.hour.counted.balanced
    assert not figures.sound
    assert "simulated: parts that nobody judged" in missed(figures)


def test_figures_have_stable_names() -> None:
    """Scripts read them."""
    found = json.loads(json.dumps(FIGURES.to_json()))
    assert (found["hour"]["cpu_ms_a_part"], found["hour"]["memory_growth"], found["sound"]) == (2.0, 0.0, True)
    assert found["paced"]["decision_p99_ms"] == 0.9
    assert replace(HOUR, memory_mib=(90.0,) * 39).memory_growth is None
    assert found["hour"]["counted"]["astray"] == 0
    assert [bound["held"] for bound in found["bounds"]] == [True] * 12
    assert FIGURES.table().row_count == replace(FIGURES, hour=None).table().row_count + 12
