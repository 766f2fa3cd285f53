"""What a changed policy would have made of recorded verdicts."""

from __future__ import annotations

import gc
import json
import math
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from alerting.policy_edit import edit_of
from alerting.policy_preview import by_part, from_decisions, preview
from deploy.cli import app
from deploy.collecting import uncollected
from deploy.policy_tools import parts_on
from shared.bus.base import Record
from shared.bus.memory import MemoryBus
from shared.clock import NS_PER_S, ManualClock
from shared.domain import CameraFinding, Decision, Outcome, Region, Verdict, VerdictStatus
from shared.errors import ConfigError
from shared.policy import LinePolicy, policy_from
from shared.wire import VerdictMessage, encode
from tests.lines import LINE, T0_NS, inspected, not_inspected

BEFORE = LinePolicy(reject_at=3.0)


def recorded(scores: Sequence[float | None]) -> list[Verdict]:
    """Return verdicts of one camera, a part each."""
    return [
        not_inspected(f"p{index}") if score is None else inspected(score, f"p{index}", at_ns=T0_NS + index)
        for index, score in enumerate(scores)
    ]


def test_what_would_change_is_counted_and_shown() -> None:
    """From PASS to REJECT and back, with both policies' reasons; a part that nobody saw defaults either way."""
    found = preview(by_part(recorded([0.1, 2.5, None, 9.0])), ["camera"], BEFORE, LinePolicy(reject_at=2.0))
    assert dict(found.moves) == {
        (Outcome.PASS, Outcome.PASS): 1,
        (Outcome.PASS, Outcome.REJECT): 1,
        (Outcome.DEFAULT_REJECT, Outcome.DEFAULT_REJECT): 1,
        (Outcome.REJECT, Outcome.REJECT): 1,
    }
    (example,) = found.examples
    assert (example.part_id, example.was, example.would_be) == (
        "p1",
        "all scores < 3.00",
        "camera: score 2.50 >= 2.00",
    )
    assert (found.parts, found.changed) == (4, 1)


def test_no_more_examples_than_a_person_reads() -> None:
    """The first ten."""
    found = preview(by_part(recorded([2.5] * 30)), ["camera"], BEFORE, LinePolicy(reject_at=2.0))
    assert [example.part_id for example in found.examples] == [f"p{index}" for index in range(10)]


def test_runs_of_rejects_are_counted_in_the_order_of_captures() -> None:
    """Whatever order the verdicts lie in."""
    after = policy_from({"reject_at": 2.0, "runs": {"rejects_in_a_row": 3}})
    verdicts = recorded([2.5, 2.5, 2.5, 0.1, 2.5, 2.5])
    found = preview(by_part([*verdicts[3:], *verdicts[:3]]), ["camera"], BEFORE, after)
    assert (found.runs_before, found.runs_after) == (0, 1)


def test_of_two_verdicts_the_worse_one_counts() -> None:
    """As it does on the line: at the higher scores, and without regions that would excuse it."""
    small = Region(0, 0, 1, 1, 1, 0.5)
    low, high = inspected(1.0), replace(inspected(4.0), regions=(small,))
    for verdicts in ([low, high], [high, low]):
        (found,) = by_part(verdicts)["p1"].values()
        assert (found.score, found.regions) == (4.0, ())
    (alone,) = by_part([high, high])["p1"].values()
    assert alone.regions == (small,)


def test_decisions_tell_all_but_the_regions() -> None:
    """So that they can be judged again where verdicts are gone."""
    finding = CameraFinding("camera", VerdictStatus.INSPECTED, None, 0.25, 2.5, "model", "calibration")
    decision = Decision(LINE, "p1", Outcome.PASS, "", 3.0, (finding,), T0_NS, T0_NS + NS_PER_S, T0_NS)
    (verdict,) = from_decisions([decision])
    assert (verdict.capture.part_id, verdict.score, verdict.raw_score, verdict.regions) == ("p1", 2.5, 0.25, ())


def test_settings_are_changed_by_their_names() -> None:
    """Numbers, words, lists, settings within settings, and `none` for what is to go."""
    old = policy_from({"reject_raw_at": 0.5, "per_camera": {"top": {"reject_at": 1.0}}})
    words = [
        "reject_at=2.5",
        "rule = all",
        "borderline_action='reject'",
        "masks=[[[0, 0], [9, 0], [9, 9]]]",
        "runs.rejects_in_a_row=5",
        "per_camera.top.minimum_area_px=20",
        "reject_raw_at=none",
    ]
    assert edit_of(words, ["top"])(old) == policy_from(
        {
            "reject_at": 2.5,
            "rule": "all",
            "borderline_action": "reject",
            "masks": [[(0, 0), (9, 0), (9, 9)]],
            "runs": {"rejects_in_a_row": 5},
            "per_camera": {"top": {"reject_at": 1.0, "minimum_area_px": 20}},
        }
    )


async def published(bus: MemoryBus, verdicts: Sequence[Verdict | bytes], *, partition: int = 0) -> None:
    """Put verdicts, and what is none, on the topic."""
    for one in verdicts:
        value = one if isinstance(one, bytes) else encode(VerdictMessage(one))
        await bus.publish("verdicts", value, key=None, partition=partition)


async def test_the_verdicts_of_a_line_are_read_at_once() -> None:
    """Other lines' and what is no verdict are left out; nothing is waited for, whatever the clock says."""
    bus = MemoryBus(ManualClock())
    await bus.ensure_topics({"verdicts": 2})
    kept = recorded([0.5, 1.5])
    other = inspected(9.0, "p9", line="line-2")
    await published(bus, [b"garbage", kept[0], other, kept[1]], partition=1)
    await published(bus, recorded([9.0]), partition=0)
    found = await parts_on(bus, "verdicts", 1, LINE, cameras=["camera"], newest=10)
    assert found == by_part(kept)


async def test_no_more_is_read_than_the_newest_parts_need() -> None:
    """Whatever the topic holds; and each of them has the verdicts of all its cameras, however they lie."""
    bus = CountingBus(ManualClock())
    await bus.ensure_topics({"verdicts": 1})
    await published(bus, recorded([0.5] * 5_000))
    newest = [f"new{number}" for number in range(100)]
    late = [inspected(0.5, name, at_ns=T0_NS + 9_000 + at, camera="right") for at, name in enumerate(newest)]
    await published(bus, [inspected(0.5, name, at_ns=T0_NS + 9_000 + at) for at, name in enumerate(newest)])
    await published(bus, late)
    found = await parts_on(bus, "verdicts", 0, LINE, cameras=["camera", "right"], newest=100)
    assert list(found) == newest
    assert all(verdicts.keys() == {"camera", "right"} for verdicts in found.values())
    assert bus.read_records <= 1_200


class CountingBus(MemoryBus):
    """A bus that counts what is read of its history."""

    read_records = 0

    async def history(self, topic: str, partition: int, *, newest: int | None = None) -> AsyncGenerator[Record, None]:
        """Count."""
        async for record in super().history(topic, partition, newest=newest):
            self.read_records += 1
            yield record


@pytest.mark.parametrize("word", ["reject_at.x=1", "reject_at=nan", "=1", "reject_at=[1"])
def test_what_changes_no_setting_is_refused(word: str) -> None:
    """A ConfigError, whatever was typed."""
    with pytest.raises(ConfigError):
        edit_of([word], ["top"])(BEFORE)


def test_the_search_for_cycles_goes_on_afterwards() -> None:
    """Also after an error."""

    def fail() -> None:
        assert not gc.isenabled()
        raise ValueError("so")

    with pytest.raises(ValueError, match="so"), uncollected():
        fail()
    assert gc.isenabled()


def test_the_benchmark_says_what_it_measured(tmp_path: Path) -> None:
    """How many verdicts, how long each step took, and what would have changed."""
    out = tmp_path / "policy.json"
    done = CliRunner().invoke(
        app, ["bench", "policy", "--verdicts", "500", "--rounds", "1", "--high-share", "0.5", "--json", str(out)]
    )
    assert done.exit_code == 0, done.output
    figures = json.loads(out.read_text())
    assert figures["parts"] == figures["verdicts"] == 500
    assert 0 < figures["changed"] < 500
    assert math.isclose(figures["total_s"], figures["read_s"] + figures["judge_s"])
    assert figures["sound"]


def test_the_benchmark_fails_where_a_person_would_wait_too_long() -> None:
    """By its exit code, for whoever runs it unattended."""
    done = CliRunner().invoke(app, ["bench", "policy", "--verdicts", "500", "--rounds", "1", "--limit-s", "0"])
    assert done.exit_code == 1, done.output
