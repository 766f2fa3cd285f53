from dataclasses import replace

import pytest

from alerting.parts import OpenPart, PartTable
from shared.clock import NS_PER_MS, NS_PER_S
from shared.domain import PartAnnouncement, Verdict
from tests.lines import T0_NS, announcement, inspected, not_inspected, one_line

MARGIN_NS = 20 * NS_PER_MS
WAIT_NS = 1_300 * NS_PER_MS


class Table:
    """A part table with a clock: `now_ns` is monotonic, `utc_ns` may be stepped apart from it."""

    def __init__(self, *cameras: str) -> None:
        self.table = PartTable(one_line(cameras=cameras or ("camera",)), margin_ms=20)
        self.now_ns = 0
        self.utc_ns = T0_NS

    def announce(self, part: PartAnnouncement) -> OpenPart | None:
        """Announce a part, which the store counts at once."""
        found = self.table.announced(part, utc_ns=self.utc_ns, now_ns=self.now_ns)
        if found is not None:
            found.counted = True
        return found

    def say(self, verdict: Verdict, overlay: bytes = b"") -> OpenPart | None:
        """Note a verdict."""
        return self.table.verdict(verdict, overlay, utc_ns=self.utc_ns, now_ns=self.now_ns)

    def ready(self, *, only_due: bool = False) -> list[str]:
        """Return the names of the parts to decide."""
        return [part.announcement.part_id for part in self.table.ready(self.now_ns, only_due=only_due)]

    def run(self, duration_ns: int) -> None:
        """Let time pass."""
        self.now_ns += duration_ns
        self.utc_ns += duration_ns


def test_a_part_is_ready_when_every_camera_has_spoken() -> None:
    """One verdict of two is not enough, whatever it says."""
    table = Table("left", "right")
    table.announce(announcement(cameras=("left", "right")))
    table.say(inspected(9.0, camera="left"))
    assert table.ready() == []
    table.say(not_inspected(camera="right"))
    assert table.ready() == ["p1"]


def test_a_part_is_ready_shortly_before_its_time() -> None:
    """Silence is settled a margin before decide_by, so that the default still reaches the gate."""
    table = Table()
    table.announce(announcement())
    assert table.table.next_due_ns() == WAIT_NS - MARGIN_NS
    table.run(WAIT_NS - MARGIN_NS - 1)
    assert table.ready() == []
    table.run(1)
    assert table.ready() == ["p1"]


def test_cameras_of_the_line_are_needed_even_if_the_announcement_forgets_them() -> None:
    """The settings and the announcement both name cameras: the part needs all of them."""
    table = Table("left", "right")
    part = table.announce(announcement(cameras=("left", "guest")))
    assert part is not None
    assert part.cameras == {"left", "right", "guest"}


def test_a_part_waits_for_being_counted_unless_it_is_due() -> None:
    """What the store has not counted is not decided early; at its time it is decided anyhow."""
    table = Table()
    part = table.announce(announcement())
    assert part is not None
    part.counted = False
    table.say(inspected(0.5))
    assert table.ready() == []
    table.run(WAIT_NS)
    assert table.ready() == ["p1"]


def test_only_due_parts_are_ready_while_the_gate_is_away() -> None:
    """A complete part waits for the gate as long as it may."""
    table = Table()
    table.announce(announcement())
    table.say(inspected(0.5))
    assert table.ready(only_due=True) == []
    assert table.ready() == ["p1"]
    table.run(WAIT_NS)
    assert table.ready(only_due=True) == ["p1"]


def test_the_most_urgent_part_comes_first() -> None:
    """Whatever order they were announced in."""
    table = Table()
    for part_id, offset_ms in (("second", 0), ("third", 5), ("first", -5)):
        at_ns = T0_NS + offset_ms * NS_PER_MS
        table.announce(announcement(part_id, at_ns=at_ns))
        table.say(inspected(0.5, part_id, at_ns=at_ns))
    # A clock step cap makes the two youngest equally due.
    assert table.ready()[0] == "first"


def test_a_verdict_opens_its_part() -> None:
    """The announcement that follows completes it: its label is kept, its cameras are added."""
    table = Table()
    opened = table.say(inspected(0.5))
    part = table.announce(announcement(label="good", cameras=("camera", "other")))
    assert part is opened
    assert part is not None
    assert part.announcement.label == "good"
    assert part.cameras == {"camera", "other"}
    assert table.ready() == []


def test_the_earliest_announcement_binds() -> None:
    """Cameras announce a part at different times: in whatever order, the gate waits for no later one."""
    early, late = announcement(), announcement(at_ns=T0_NS + 50 * NS_PER_MS, label="good")
    for first, second in ((early, late), (late, early)):
        table = Table()
        table.run(60 * NS_PER_MS)
        table.announce(first)
        part = table.announce(second)
        assert part is not None
        assert part.announcement == replace(early, label="good")
        assert part.due_ns == WAIT_NS - MARGIN_NS


def test_a_verdict_after_its_time_is_late() -> None:
    """A part that nobody announced is not opened when it is over."""
    table = Table()
    table.run(WAIT_NS)
    assert table.say(inspected(0.5)) is None
    assert len(table.table) == 0


def test_closed_parts_stay_closed() -> None:
    """Neither an announcement nor a verdict opens a decided part again."""
    table = Table()
    opened = table.announce(announcement())
    assert opened is not None
    table.table.close(opened)
    assert table.announce(announcement()) is None
    assert table.say(inspected(0.5)) is None
    assert len(table.table) == 0
    assert table.table.knows("p1")
    assert not table.table.knows("p2")


def test_the_names_of_closed_parts_are_bounded() -> None:
    """Ten thousand are remembered, and the oldest is forgotten first."""
    table = Table()
    for number in range(10_002):
        table.table.close(OpenPart(announcement(f"p{number}"), due_ns=0, cameras=frozenset()))
    assert not table.table.knows("p1")
    assert table.table.knows("p2")
    assert len(table.table._closed) == 10_000


@pytest.mark.parametrize("step_s", [-3_600, 3_600])
def test_a_clock_step_keeps_no_part_open_past_its_gate_delay(step_s: int) -> None:
    """With the camera's clock and ours apart, a part is due within its gate delay, or at once."""
    table = Table()
    table.utc_ns += step_s * NS_PER_S
    table.announce(announcement())
    due_ns = table.table.next_due_ns()
    assert due_ns is not None
    assert due_ns <= WAIT_NS - MARGIN_NS


def test_a_clock_step_does_not_move_what_is_open() -> None:
    """A part's time was fixed on the monotonic clock when it was opened."""
    table = Table()
    table.announce(announcement())
    table.utc_ns -= 3_600 * NS_PER_S
    table.announce(announcement())
    assert table.table.next_due_ns() == WAIT_NS - MARGIN_NS


@pytest.mark.parametrize(
    ("scores", "kept"), [((1.0, 5.0), 5.0), ((5.0, 1.0), 5.0), ((None, 1.0), 1.0), ((1.0, None), 1.0)]
)
def test_of_two_verdicts_the_most_alarming_inspected_one_counts(scores: tuple[float | None, ...], kept: float) -> None:
    """Redelivered frames may be answered twice, in any order; the overlay belongs to the verdict that counts."""
    table = Table()
    table.announce(announcement())
    for score in scores:
        verdict = not_inspected() if score is None else inspected(score)
        part = table.say(verdict, overlay=str(score).encode())
    assert part is not None
    assert part.verdicts["camera"].score == kept
    assert part.overlays["camera"] == str(kept).encode()


def test_an_overlay_follows_its_verdict() -> None:
    """It counts for the verdict that stands, in whatever order two of a camera came, until the part is recorded."""
    table = Table()
    table.announce(announcement())
    for score in (1.0, 5.0):
        table.say(inspected(score), overlay=b"")
    assert table.table.overlaid(inspected(5.0), b"five") is table.table.overlaid(inspected(1.0), b"one")
    part = table.table.find("p1")
    assert part is not None
    assert part.overlays == {"camera": b"five"}
    assert part.verdicts["camera"].score == 5.0
    table.table.close(part)
    assert table.table.overlaid(inspected(6.0), b"six") is part
    assert part.overlays == {"camera": b"six"}, "it is still to be recorded"
    part.pictured = False
    assert table.table.overlaid(inspected(7.0), b"seven") is part
    assert part.overlays == {"camera": b"six"}, "there is no room for its pictures"
    part.recorded = True
    assert table.table.overlaid(inspected(5.0), b"five") is None


def test_an_overlay_whose_verdict_is_not_known_is_nobodys() -> None:
    """It opens no part, and does not make a camera speak."""
    table = Table()
    assert table.table.overlaid(inspected(5.0), b"five") is None
    assert not len(table.table)
    part = table.announce(announcement())
    assert part is not None
    assert table.table.overlaid(inspected(5.0), b"five") is part
    assert not part.overlays
    assert not part.complete


@pytest.mark.parametrize("scores", [(float("nan"), 1.0), (1.0, float("nan")), (float("-inf"), 1.0)])
def test_a_score_that_is_no_number_is_never_outdone_by_a_good_one(scores: tuple[float, float]) -> None:
    """Otherwise the order of two verdicts would decide whether the part passes."""
    table = Table()
    table.announce(announcement())
    for score in scores:
        part = table.say(inspected(score))
    assert part is not None
    assert part.verdicts["camera"].score != 1.0
