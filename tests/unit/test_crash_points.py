"""The alerting service dies between every two effects; what goes on after it, and what a plant sees of it, is right.

Each effect is one call on bus, store, gate or journal. A run without a crash tells which there are, so that none is
forgotten; `pytest -rA` lists the points that were covered.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Final

import pytest
import structlog

import alerting
from alerting.signals.base import GateSignals
from shared.bus.base import Bus, Subscription
from shared.store.base import Store
from tests.crash_line import Course, played
from tests.crashing import CrashPoint

PERIODIC: Final = frozenset(
    {
        "signals.beat",
        "subscription.poll",
        "store.kept",
        "store.set_state",
        "store.alert_handling",
        "store.lease",
        "store.move_lease",
    }
)
"""What is called again and again whatever happens: three calls of each stand for all."""
REBUILDING: Final = frozenset(
    {
        "bus.history",
        "store.announce",
        "store.claim",
        "store.ledger_head",
        "store.ledger_record",
        "store.lease",
        "store.move_lease",
        "store.restore",
        "store.settle",
    }
)

RECOVERING: Final = frozenset(
    {
        "bus.history",
        "bus.publish",
        "signals.open",
        "signals.send",
        "store.announce",
        "store.claim",
        "store.ledger_head",
        "store.ledger_record",
        "store.published",
        "store.settle",
    }
)


HALTING: Final = frozenset({"store.claim", "store.keep", "store.notes", "store.put_alert", "store.settle"})
"""The effects around a halt, and around a change of the policy."""
HALTS: Final[dict[str, dict[str, object]]] = {
    "silence": {"on_silence": "stop"},
    "row": {"runs": {"rejects_in_a_row": 1, "row_action": "stop"}},
}
"""Policies by which a part of the course halts its line."""


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Log nothing: a thousand runs of a line would fill the report."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


async def points(course: Course, *, only: Collection[str] = ()) -> list[CrashPoint]:
    """Return every place to die at: before and after each effect of a run in which nobody does."""
    async with played(None, course) as run:
        assert await run.check() == []
        calls = dict(run.watched.calls)
    return [
        CrashPoint(effect, number, after)
        for effect, times in sorted(calls.items())
        if not only or effect in only
        for number in _chosen(effect, times, every=bool(only))
        for after in (False, True)
    ]


def _chosen(effect: str, times: int, *, every: bool) -> Iterable[int]:
    return sorted({1, times // 4 or 1, times // 2 or 1}) if effect in PERIODIC and not every else range(1, times + 1)


async def swept(places: list[CrashPoint], course: Course) -> list[str]:
    """Die at each place, say what was covered, and return what was wrong."""
    wrong = []
    for place in places:
        async with played(place, course) as run:
            found = await run.check()
            if not run.watched.dead.is_set():
                found.append("it did not die there")
            wrong += [f"{place}: {problem}" for problem in found]
    print(f"{len(places)} crash points:", "; ".join(str(place) for place in places))  # noqa: T201 - for -rA
    return wrong


async def test_a_process_that_dies_anywhere_is_started_again() -> None:
    """Killed before or after any effect, and started 0.1 s later: every part once, as the gate had it, in one chain."""
    course = Course()
    assert await swept(await points(course), course) == []


async def test_a_process_that_dies_anywhere_is_followed_by_its_standby() -> None:
    """Dead at any effect, another process takes its line over, and nothing is decided twice."""
    course = Course(standby=True)
    assert await swept(await points(course), course) == []


async def test_a_process_that_wakes_up_after_its_line_was_taken_changes_nothing() -> None:
    """Frozen at any effect and thawed 2 s later: what it was about to do lands, a signal too, and decides nothing."""
    course = Course(standby=True, thaws=True)
    assert await swept(await points(course), course) == []


async def test_a_process_that_dies_while_it_rebuilds_an_emptied_store_is_started_again() -> None:
    """Before or after any effect of rebuilding: what the topic has is in the store, and no part is decided twice."""
    course = Course(emptied=True)
    assert await swept(await points(course, only=REBUILDING), course) == []


async def test_a_process_that_dies_around_its_journal_leaves_it_whole(tmp_path: Path) -> None:
    """Topic and journal are one chain each, with every part in it."""
    for number, place in enumerate(await points(Course(journal=tmp_path / "none"), only={"journal.append"})):
        assert await swept([place], Course(journal=tmp_path / str(number))) == []


async def test_a_process_that_dies_while_it_recovers_is_started_again() -> None:
    """The one before died with a part claimed, signalled, settled or on the topic; this one dies anywhere, too."""
    wrong = []
    for effect in ("store.claim", "signals.send", "store.settle", "bus.publish"):
        course = Course(before=CrashPoint(effect, 3, after=True))
        wrong += await swept(await points(course, only=RECOVERING), course)
    assert wrong == []


async def test_a_gate_that_rests_open_lets_nothing_go_when_its_process_dies() -> None:
    """Its PLC stops the line without heartbeats, until the standby beats and decides."""
    course = Course(standby=True, rests_open=True)
    assert await swept(await points(course), course) == []


@pytest.mark.parametrize("halts", HALTS.values(), ids=HALTS)
async def test_a_line_that_is_halted_stays_so_wherever_its_process_dies(halts: dict[str, object]) -> None:
    """Nothing passes after the part that halted it, the store and the operators know, and the policy is published."""
    course = Course(halts=halts)
    assert await swept(await points(course, only=HALTING), course) == []


BESIDE: Final = {"plc_sim", "console", "trends"}
"""What neither decides nor signals, as the import contracts have it."""


def used(port: type, *names: str) -> set[str]:
    """Return the methods of a port that the service calls, by its source."""
    root = Path(alerting.__file__).parent
    files = [*root.rglob("*.py"), root.parent / "shared/bus/intake.py", root.parent / "shared/policy_keeper.py"]
    text = "\n".join(file.read_text() for file in files if not BESIDE & set(file.parts))
    methods = {name for name in dir(port) if not name.startswith("_") and callable(getattr(port, name))}
    return {f"{names[0]}.{name}" for name in methods if re.search(rf"\b_?({'|'.join(names)})\.{name}\(", text)}


NO_EFFECT: Final = {"subscription.assignment", "subscription.on_handover", "subscription.pause", "subscription.resume"}
ELSEWHERE: Final = {
    "signals.last_accepted": "a gate that another wrote to: test_alerting_gates",
    "bus.ensure_topics": "the composition root's",
    "store.handle_alert": "what an operator does, by a command or a page: test_alert_commands, test_console_pages",
    "store.ping": "a store that was away: test_open_gate, test_alerting_recovery",
    "bus.subscribe": "who hears of decisions beside the gate: test_alerting_role, test_webhook",
}


async def test_no_effect_of_the_service_is_forgotten() -> None:
    """Whatever its source calls on a port is among the crash points, or named here with the tests that have it."""
    again = Course(before=CrashPoint("store.settle", 3, after=True))
    courses = (Course(), Course(emptied=True), Course(halts=HALTS["silence"]), again)
    covered = {place.effect for course in courses for place in await points(course)}
    calls = used(Store, "store") | used(Bus, "bus") | used(GateSignals, "signals") | used(Subscription, "subscription")
    assert calls - covered - NO_EFFECT == set(ELSEWHERE) & calls
