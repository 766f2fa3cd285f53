"""The fault campaign itself: a sound system comes out clean, and one with a planted bug does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from deploy.faults.campaign import CampaignOptions, CampaignResult, run_campaign
from deploy.faults.schedule import FaultKind

ROOT = Path(__file__).parents[2]
KILLS = frozenset(FaultKind) - {FaultKind.KILL}
KILLS_AND_DUPLICATES = KILLS - {FaultKind.DUPLICATE}

pytestmark = [pytest.mark.kafka, pytest.mark.redis, pytest.mark.timeout(420)]


@pytest.fixture(autouse=True)
def servers(kafka_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Need what the suite's own servers need; roles find the tests' package beside the project's."""
    del kafka_url, redis_url
    monkeypatch.chdir(ROOT)


def campaign(
    model: Path,
    *,
    minutes: float,
    without: frozenset[FaultKind],
    bug: str = "",
    parts_per_s: float = 9.0,
    standby: bool = False,
) -> CampaignResult:
    """Run one whose system is sound, or has a bug."""
    options = CampaignOptions(
        seed=1, minutes=minutes, model=model, without=without, parts_per_s=parts_per_s, standby=standby
    )
    if bug:
        options = replace(options, entry=("-m", "tests.faults.planted", bug))
    return run_campaign(options, Console(quiet=True))


def test_a_sound_system_keeps_its_promises_through_kills(lite_model: Path) -> None:
    """Each role and server is killed once, one of two who share the gates: no violation, each default has its fault."""
    result = campaign(lite_model, minutes=0.8, without=KILLS, standby=True)
    assert {fault.fault.name for fault in result.faults} == {
        f"kill/{target}" for target in ("ingest", "detector", "alerting", "kafka", "redis")
    }
    assert len(result.evidence.announced) > 300
    assert result.sound, result.to_json()


@pytest.mark.campaign
def test_a_part_that_passes_unseen_is_caught(lite_model: Path) -> None:
    """The same kills with alerting that takes silence for a good part."""
    result = campaign(lite_model, minutes=0.8, without=KILLS, bug="pass-without-verdict")
    assert any(one.invariant == 2 and "never found it good" in one.text for one in result.violations)


@pytest.mark.campaign
def test_a_part_that_is_decided_twice_is_caught(lite_model: Path) -> None:
    """Alerting that forgets its decisions, under kills and messages that come again."""
    result = campaign(lite_model, minutes=2, without=KILLS_AND_DUPLICATES, bug="double-decision")
    assert any(one.invariant == 3 and "it was decided as" in one.text for one in result.violations)


@pytest.mark.campaign
def test_a_frame_that_is_committed_unanswered_is_caught(lite_model: Path) -> None:
    """A detector that commits what it polls, killed again and again with frames in hand."""
    result = campaign(lite_model, minutes=4, without=KILLS, bug="commit-before-acknowledge", parts_per_s=14)
    assert any(one.invariant == 4 for one in result.violations)
