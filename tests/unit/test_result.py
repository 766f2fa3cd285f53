import io
import json

import pytest
from rich.console import Console

from alerting.plc_sim.server import PlcServer
from alerting.plc_sim.simulator import GateSimulator
from deploy.result import RunResult, result_of
from shared.clock import NS_PER_S, ManualClock, SystemClock
from shared.domain import GateMode, Outcome
from shared.latency import bucket_of
from shared.plc import PlcCounters
from shared.settings import LineSettings
from shared.store.base import LineCounters
from tests.lines import LINE, T0_NS, announcement, decided
from tests.outages import CuttableStore

OURS = LineCounters(announced=10, passed=6, rejected=3, defaulted=1, latency_buckets={bucket_of(80.0): 9})
THEIRS = PlcCounters(parts=10, passed=6, rejected=3, defaulted=1)


def result(plc: PlcCounters | None = THEIRS, ours: LineCounters = OURS) -> RunResult:
    """Return the result of a run."""
    return RunResult(LINE, ours, plc)


def test_a_run_is_sound_when_ledger_and_plc_agree() -> None:
    """Every part announced has one decision, and the PLC counted the same."""
    assert result().ledger_balanced
    assert result().sound
    assert result(plc=None).sound


@pytest.mark.parametrize(
    "theirs",
    [
        PlcCounters(parts=9, passed=6, rejected=3, defaulted=0),
        PlcCounters(parts=10, passed=7, rejected=3, defaulted=0),
        PlcCounters(parts=10, passed=6, rejected=2, defaulted=2),
        PlcCounters(parts=11, passed=6, rejected=3, defaulted=1, on_belt=1),
    ],
)
def test_a_plc_that_counted_otherwise_is_not_balanced(theirs: PlcCounters) -> None:
    """One part more, less or elsewhere is enough."""
    assert not result(theirs).ledger_balanced
    assert not result(theirs).sound


def test_a_part_without_a_decision_is_not_balanced() -> None:
    """With or without a PLC."""
    assert not result(None, LineCounters(announced=2, passed=1)).ledger_balanced


def test_mismatches_make_a_run_unsound() -> None:
    """Even when the sums agree."""
    found = result(PlcCounters(parts=10, passed=6, rejected=3, defaulted=1, late=1))
    assert found.ledger_balanced
    assert (found.mismatches, found.sound) == (1, False)


def test_the_json_has_stable_names() -> None:
    """Scripts read it."""
    found = json.loads(json.dumps(result().to_json()))
    assert found == {
        "announced": 10,
        "passed": 6,
        "rejected": 3,
        "defaulted": 1,
        "not_carried_out": 0,
        "defects": 0,
        "caught": 0,
        "missed": 0,
        "false_rejects": 0,
        "latency_ms": {name: pytest.approx(80, rel=0.03) for name in ("p50", "p95", "p99")},
        "ledger_balanced": True,
        "plc_mismatches": 0,
    }
    assert result(None, LineCounters()).to_json()["latency_ms"] == {"p50": None, "p95": None, "p99": None}


@pytest.mark.parametrize("plc", [THEIRS, None])
def test_the_table_shows_both_counts(plc: PlcCounters | None) -> None:
    """Ledger and PLC side by side, and whether they agree."""
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(result(plc).table())
    text = console.export_text()
    assert "parts announced" in text
    assert "yes" in text


def line_at(url: str) -> LineSettings:
    """Return a line whose PLC is at `url`."""
    return LineSettings.model_validate({"signal": {"url": url}})


async def test_the_plc_is_asked_for_its_own_count() -> None:
    """Over its own registers."""
    gate = GateSimulator(GateMode.PASS_ASSERTED, ManualClock())
    gate.photo_eye("p1", 0)
    server = PlcServer(gate, clock=SystemClock())
    await server.start()
    store = CuttableStore.embedded()
    try:
        await store.announce(announcement("p1"))
        found = await result_of(line_at(server.url), store)
    finally:
        await server.stop()
        await store.close()
    assert found.plc is not None
    assert (found.plc.parts, found.plc.defaulted) == (1, 1)
    assert not found.ledger_balanced


async def test_the_shift_stands_beside_the_total() -> None:
    """In the table and in the JSON, by the line's own shifts."""
    store = CuttableStore.embedded()
    for part_id, at_ns in (("p1", T0_NS), ("p2", T0_NS - 86_400 * NS_PER_S)):
        await store.announce(announcement(part_id, at_ns=at_ns))
        await store.settle(decided(part_id, Outcome.PASS, at_ns=at_ns), latency_ms=12.0)
    found = await result_of(line_at("none"), store, shift_at_ns=T0_NS)
    await store.close()
    assert found.shift is not None
    assert (found.counters.passed, found.shift.counters.passed) == (2, 1)
    shown = found.to_json()
    assert (shown["passed"], shown["shift"]["name"], shown["shift"]["passed"]) == (2, "2023-11-14", 1)
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(found.table())
    assert "shift 2023-11-14" in console.export_text()


@pytest.mark.parametrize("url", ["none", "modbus://127.0.0.1:1"])
async def test_a_line_whose_plc_cannot_be_asked_has_no_plc_counts(url: str) -> None:
    """No PLC, or one that is away, leaves its column out."""
    store = CuttableStore.embedded()
    found = await result_of(line_at(url), store)
    await store.close()
    assert found.plc is None
    assert found.counters == LineCounters()
