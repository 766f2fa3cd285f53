"""kill -9 while parts flow on real Kafka, checked from the outside: the topics, Redis and the PLC's own count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest

from shared.domain import Outcome, VerdictStatus

if TYPE_CHECKING:
    from tests.faults.conftest import RunningLine

pytestmark = [pytest.mark.campaign, pytest.mark.kafka, pytest.mark.redis, pytest.mark.timeout(240)]

Prepare = Callable[..., Awaitable["RunningLine"]]


async def check_invariants(line: RunningLine, announced: int) -> None:
    """Hold what came out against the line contract's invariants 1, 2, 3 and 5."""
    counters = await line.counters()
    decisions = await line.decisions()
    plc = await line.plc_counters()
    assert counters.announced == announced == counters.settled, line.output()
    outcomes: dict[str, set[Outcome]] = {}
    for decision in decisions:
        outcomes.setdefault(decision.part_id, set()).add(decision.outcome)
    assert len(outcomes) == announced
    assert all(len(found) == 1 for found in outcomes.values()), "a part has two decisions"
    for decision in decisions:
        if decision.outcome is Outcome.PASS:
            assert decision.findings
            assert all(found.status is VerdictStatus.INSPECTED for found in decision.findings)
    by_outcome = Counter(next(iter(found)) for found in outcomes.values())
    assert by_outcome[Outcome.PASS] == counters.passed == plc.passed
    assert by_outcome[Outcome.REJECT] == counters.rejected == plc.rejected
    assert by_outcome[Outcome.DEFAULT_REJECT] == counters.defaulted == plc.defaulted
    assert plc.parts == announced
    assert plc.conflicting == plc.reached_twice == plc.unsignalled == 0


async def test_a_killed_detector_defaults_its_parts_and_goes_on_after_restart(line: Prepare) -> None:
    """Parts without a verdict in time are rejected by default; after a restart verdicts go on; the ledger balances."""
    # A minute of them: on a slow processor torch alone takes a quarter of one to load, twice.
    parts = 600
    running = await line(parts=parts)
    for role in ("alerting", "detector", "ingest"):
        await running.start(role)
    await running.until(lambda found: found.passed >= 10, within_s=90)

    await running.kill9("detector")
    killed = await running.counters()
    await running.until(lambda found: found.defaulted >= killed.defaulted + 10, within_s=30)
    await running.start("detector")
    await running.until(lambda found: found.passed >= killed.passed + 20, within_s=60)

    assert await running.ended("ingest", within_s=90) == 0
    await running.until(lambda found: found.settled == parts, within_s=20)
    assert await running.interrupt("detector", within_s=30) == 0
    assert await running.interrupt("alerting", within_s=30) == 0
    await check_invariants(running, parts)


async def test_a_killed_alerting_leaves_parts_to_the_gates_default_and_decides_none_twice(line: Prepare) -> None:
    """While nobody asserts PASS the gate rejects; after a restart each part has one decision, the gate's own."""
    parts = 200
    running = await line(parts=parts)
    for role in ("alerting", "detector", "ingest"):
        await running.start(role)
    await running.until(lambda found: found.passed >= 10, within_s=90)

    await running.kill9("alerting")
    await running.start("alerting")

    assert await running.ended("ingest", within_s=60) == 0
    await running.until(lambda found: found.settled == parts, within_s=30)
    assert await running.interrupt("detector", within_s=30) == 0
    assert await running.interrupt("alerting", within_s=30) == 0
    await check_invariants(running, parts)
