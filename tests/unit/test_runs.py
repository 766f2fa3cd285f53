"""Rejects in a row, and their share of the last parts."""

from __future__ import annotations

from collections.abc import Iterable

from alerting.runs import RunWatch
from shared.domain import Outcome
from shared.policy import RunAction, RunPolicy

OUTCOMES = {"p": Outcome.PASS, "r": Outcome.REJECT, "d": Outcome.DEFAULT_REJECT}


def said(watch: RunWatch, parts: Iterable[str]) -> list[str]:
    """Return what is said at each part: nothing, or the first words of it."""
    return ["".join(excess.text[:1] for excess in watch.observe(OUTCOMES[part])) for part in parts]


def test_a_row_is_told_once() -> None:
    """At its last part; again only after a good one."""
    watch = RunWatch(RunPolicy(rejects_in_a_row=3, row_action=RunAction.STOP))
    assert said(watch, "rrprrrrrprrr") == ["", "", "", "", "", "3", "", "", "", "", "", "3"]


def test_a_default_reject_neither_counts_nor_ends_a_row() -> None:
    """It says nothing about the product."""
    assert said(RunWatch(RunPolicy(rejects_in_a_row=2)), "rdddr") == ["", "", "", "", "2"]


def test_a_share_needs_its_parts_and_more_than_its_percents() -> None:
    """Half of four are not more than 50 %; three are, and the first three parts are too few."""
    watch = RunWatch(RunPolicy(share_percent=50, share_parts=4))
    assert said(watch, "rrrprppprrrr") == ["", "", "", "3", "", "", "", "", "", "", "3", ""]


def test_a_watch_by_other_rules_knows_the_parts_before() -> None:
    """A row that was long enough already is told of at its next part, and not by itself."""
    watch = RunWatch(RunPolicy(rejects_in_a_row=9))
    assert said(watch, "prrrr") == [""] * 5
    stricter = RunWatch(RunPolicy(rejects_in_a_row=3), watch.seen)
    assert said(stricter, "rr") == ["5", ""]


def test_without_rules_nothing_is_too_much() -> None:
    """However many parts are rejected."""
    assert said(RunWatch(RunPolicy()), "r" * 300) == [""] * 300
