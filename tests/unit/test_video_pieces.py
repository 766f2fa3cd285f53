"""The pure pieces of video sources: what waits, whose time counts, what can be believed, what slates say."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from av import error as ffmpeg

from ingest.slate import Slate, draw_slate
from ingest.sources.base import Fault, Shot
from ingest.sources.video.errors import map_error
from ingest.sources.video.integrity import Integrity
from ingest.sources.video.reported_time import ReportedTime
from ingest.sources.video.slates import SlateReader
from ingest.sources.waiting import Waiting
from shared.clock import NS_PER_MS
from shared.errors import LossCause
from shared.log import get_logger

UTC_NS = 1_700_000_000_000_000_000


def shot_of(at_ms: int = 0, side_px: int = 4) -> Shot:
    """Return a small picture of some time."""
    return Shot(np.zeros((side_px, side_px, 3), np.uint8), UTC_NS + at_ms * NS_PER_MS)


def test_waiting_pictures_are_bounded_by_bytes() -> None:
    """Pictures above the bound lose their pixels, oldest first, but the newest is kept however large it is."""
    counts: Counter[str] = Counter()
    waiting = Waiting(counts, most_bytes=100)
    for at_ms in range(3):
        waiting.put(shot_of(at_ms))
    taken = [waiting.take() for _ in range(3)]
    assert [shot.fault for shot in taken if shot] == [Fault.OVERRUN, None, None]
    waiting.put(shot_of(side_px=100))
    large = waiting.take()
    assert large is not None
    assert large.pixels is not None
    assert waiting.take() is None


def test_what_nobody_reads_for_long_is_counted() -> None:
    """Even exposures without pictures are bounded; those beyond are counted."""
    counts: Counter[str] = Counter()
    waiting = Waiting(counts, most_pictures=2, most_told=5)
    for at_ms in range(9):
        waiting.put(shot_of(at_ms))
    told = list(iter(waiting.take, None))
    assert [shot.captured_at_ns - UTC_NS for shot in told] == [at_ms * NS_PER_MS for at_ms in range(4, 9)]
    assert counts == {"untold": 4, "overrun": 7}


def test_a_camera_time_is_taken_once_two_agree() -> None:
    """The first report, which FFmpeg puts on the picture before its own, is not taken, nor one that jumps."""
    reported = ReportedTime()
    apart_ns = 40 * NS_PER_MS
    assert reported.of(0.0, None) is None
    assert reported.of(0.04, UTC_NS + 2 * apart_ns) is None
    assert reported.of(0.08, UTC_NS + 2 * apart_ns) is None
    assert reported.of(0.12, UTC_NS + 3 * apart_ns) == UTC_NS + 3 * apart_ns
    assert reported.disagreed == 0
    assert reported.of(0.16, UTC_NS + 90 * apart_ns) is None
    assert reported.disagreed == 1
    assert reported.of(0.20, UTC_NS + 91 * apart_ns) == UTC_NS + 91 * apart_ns


def test_a_picture_without_a_stamp_has_no_camera_time() -> None:
    """Without a time stamp there is nothing to hold a reported time against."""
    assert ReportedTime().of(None, UTC_NS) is None


def test_nothing_is_believed_after_damage_until_a_picture_stands_alone() -> None:
    """Pictures that are predicted from a damaged one are not marked by FFmpeg, and are not believed either."""
    integrity = Integrity(lossy=False)
    assert integrity.believes(key=True, corrupt=False, at_s=0.0)
    assert integrity.believes(key=False, corrupt=False, at_s=9.0)
    assert not integrity.believes(key=False, corrupt=True, at_s=9.1)
    assert not integrity.believes(key=False, corrupt=False, at_s=9.2)
    assert integrity.believes(key=True, corrupt=False, at_s=9.3)
    integrity.damaged()
    assert not integrity.believes(key=False, corrupt=False, at_s=9.4)
    assert not integrity.believes(key=True, corrupt=True, at_s=9.5)


def test_a_gap_over_udp_is_damage() -> None:
    """Over a lossy transport a picture may be missing without a word: what follows is predicted from another one."""
    integrity = Integrity(lossy=True)
    assert all(integrity.believes(key=index == 0, corrupt=False, at_s=index * 0.04) for index in range(20))
    assert not integrity.believes(key=False, corrupt=False, at_s=20 * 0.04 + 0.04)
    assert not integrity.believes(key=False, corrupt=False, at_s=20 * 0.04 + 0.08)
    assert integrity.believes(key=True, corrupt=False, at_s=20 * 0.04 + 0.12)


def slated(number: int, at_ms: int) -> Shot:
    """Return a picture that shows a good part."""
    return Shot(draw_slate(np.zeros((32, 128, 3), np.uint8), Slate(number, defect=False)), UTC_NS + at_ms * NS_PER_MS)


def test_parts_between_two_slates_are_told_as_lost() -> None:
    """Parts whose pictures never came are told, at their share of the time between."""
    counts: Counter[str] = Counter()
    reader = SlateReader(counts, get_logger("test"))
    assert [shot.number for shot in reader.read(slated(5, 0))] == [5]
    shots = reader.read(slated(8, 300))
    assert [shot.number for shot in shots] == [6, 7, 8]
    assert [shot.fault for shot in shots] == [Fault.LOST, Fault.LOST, None]
    assert [(shot.captured_at_ns - UTC_NS) // NS_PER_MS for shot in shots] == [100, 200, 300]
    assert counts == {"lost": 2, "lost_untold": 4}


def test_parts_that_passed_while_the_camera_was_away_are_counted() -> None:
    """Nobody knows when parts passed during a restart: they are not told, and a number that was seen is passed over."""
    counts: Counter[str] = Counter()
    reader = SlateReader(counts, get_logger("test"))
    reader.read(slated(1, 0))
    reader.restart()
    assert [shot.number for shot in reader.read(slated(9, 5_000))] == [9]
    assert reader.read(slated(9, 5_100)) == []
    assert reader.read(Shot(None, UTC_NS, fault=Fault.UNREADABLE)) == []
    assert reader.read(shot_of(side_px=100)) == []
    assert counts == {
        "lost_untold": 7,
        "skipped_repeated": 1,
        "skipped_without_slate": 1,
        "skipped_illegible_slate": 1,
    }


_EXPECTED: dict[type[BaseException], LossCause] = {
    ffmpeg.HTTPUnauthorizedError: LossCause.LOGIN,
    ffmpeg.HTTPForbiddenError: LossCause.LOGIN,
    ffmpeg.InvalidDataError: LossCause.UNREADABLE,
    ffmpeg.DecoderNotFoundError: LossCause.UNREADABLE,
    ffmpeg.PatchWelcomeError: LossCause.UNREADABLE,
}


@pytest.mark.parametrize("kind", list(dict.fromkeys(ffmpeg.classes.values())))
def test_every_error_of_ffmpeg_is_mapped_without_the_password(kind: type[BaseException]) -> None:
    """Each class of FFmpeg's errors becomes ours with a remedy, without FFmpeg's message, which has the login."""
    raw = kind(1, "No luck", "rtsp://operator:hunter2@camera-1/line")
    for scheme in ("rtsp", "rtsps"):
        mapped = map_error(raw, f"{scheme}://***@camera-1/line")
        assert mapped.remedy
        assert "hunter2" not in str(mapped)
        assert mapped.cause is _EXPECTED.get(kind, mapped.cause)
