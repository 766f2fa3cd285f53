"""The measurement of a takeover on real servers, once in each way."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.faults.takeover import Way, bench_takeover

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.campaign, pytest.mark.kafka, pytest.mark.redis, pytest.mark.timeout(420)]


async def test_a_killed_and_a_frozen_process_are_followed(
    kafka_url: str, redis_url: str, lite_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line goes on, and no sooner than the lost one's lease allows; a busy machine may miss the bound."""
    del kafka_url, redis_url
    monkeypatch.chdir(ROOT)
    figures = await bench_takeover(lite_model, rounds=1, parts_per_s=6.0)
    assert {one.way for one in figures.takeovers} == set(Way)
    for one in figures.takeovers:
        assert one.after_ms is not None
        assert 500 < one.after_ms < 10_000
