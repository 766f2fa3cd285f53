"""Pictures out of RTP's pieces: when one is given out, and what is never given out as whole."""

from __future__ import annotations

from fractions import Fraction

from ingest.sources.video.assembly import Assembly, Piece, Unit
from ingest.sources.video.backlog import Backlog
from shared.clock import NS_PER_MS

_SURE_NS = 900 * NS_PER_MS
_PERIOD_NS = 200 * NS_PER_MS
_H264_KEY, _H264_PARAMETERS = b"\x00\x00\x00\x01\x65", b"\x00\x00\x00\x01\x67"
_H265_KEY = b"\x00\x00\x00\x01\x28\x01"


def pieces(pts: int, *, start: bytes = _H264_KEY, slices: int = 1, reported_ns: int | None = None) -> list[Piece]:
    """Return a picture whose slices come in two full pieces and a short one each."""
    full = b"\x55" * 1_400
    data = [part for _ in range(slices) for part in (start + full, full, full[:500])]
    return [Piece(part, pts, pts * NS_PER_MS, reported_ns) for part in data]


def take(assembly: Assembly, picture: list[Piece], at_ns: int) -> list[Unit]:
    """Let a picture's pieces come at once; return what is given out meanwhile."""
    given = [assembly.add(piece, at_ns) for piece in picture]
    return [unit for unit in given if unit is not None]


def learnt(codec: str = "h264", *, start: bytes = _H264_KEY, slices: int = 1) -> tuple[Assembly, int]:
    """Return an assembly that has seen how the camera sends, and the time after that; a picture waits in it."""
    assembly = Assembly(codec, sure_ns=_SURE_NS)
    for index in range(20):
        take(assembly, pieces(index, start=start, slices=slices), index * _PERIOD_NS)
    return assembly, 19 * _PERIOD_NS


def test_a_picture_is_given_out_by_the_next_one() -> None:
    """The first piece with another time stamp ends a picture, which has the time of its first piece."""
    assembly = Assembly("h264", sure_ns=_SURE_NS)
    assert take(assembly, pieces(1, reported_ns=77), 0) == []
    (unit,) = take(assembly, pieces(2), _PERIOD_NS)
    assert (unit.pts, unit.received_ns, unit.reported_ns, unit.whole) == (1, NS_PER_MS, 77, True)
    assert unit.data == b"".join(piece.data for piece in pieces(1))


def test_a_picture_that_looks_whole_is_given_out_after_a_pause() -> None:
    """Once it is known how a camera sends, five milliseconds without a piece are enough for H.264."""
    assembly, now_ns = learnt()
    assert assembly.looks_whole
    assert assembly.release(now_ns + 4 * NS_PER_MS) is None
    assert assembly.pause_left_ns(now_ns + 4 * NS_PER_MS) == NS_PER_MS
    unit = assembly.release(now_ns + 5 * NS_PER_MS)
    assert unit is not None
    assert unit.whole
    assert unit.waited_ns == 5 * NS_PER_MS
    assert not assembly.begun


def test_h265_waits_longer() -> None:
    """The decoder of H.265 does not notice that a piece is missing: the pause is longer."""
    assembly, now_ns = learnt("hevc", start=_H265_KEY)
    assert assembly.release(now_ns + 19 * NS_PER_MS) is None
    assert assembly.release(now_ns + 20 * NS_PER_MS) is not None


def test_nothing_is_given_out_early_before_the_camera_is_known() -> None:
    """Of a camera's first pictures each waits for the next, or until it is sure that none comes."""
    assembly = Assembly("h264", sure_ns=_SURE_NS)
    take(assembly, pieces(1), 0)
    assert assembly.release(_SURE_NS - 1) is None
    assert assembly.release(_SURE_NS) is not None


def test_a_picture_in_the_middle_of_a_piece_waits() -> None:
    """A last piece of full length says that more follow, and one slice says nothing where pictures have two."""
    assembly, now_ns = learnt(slices=2)
    for part in pieces(20, slices=2)[:5]:
        assembly.add(part, now_ns + _PERIOD_NS)
        assert not assembly.looks_whole
    assert assembly.release(now_ns + _PERIOD_NS + 100 * NS_PER_MS) is None
    assembly.add(pieces(20, slices=2)[5], now_ns + _PERIOD_NS + 100 * NS_PER_MS)
    assert assembly.looks_whole


def test_a_picture_cut_by_the_streams_end_is_not_whole() -> None:
    """What lies there at the end of a stream is given out, and said not to be whole where that cannot be told."""
    assembly, now_ns = learnt()
    assembly.add(pieces(20)[0], now_ns + _PERIOD_NS)
    unit = assembly.rest()
    assert unit is not None
    assert not unit.whole
    assert assembly.rest() is None


def test_a_piece_that_comes_too_late_ends_early_pictures() -> None:
    """A camera that pauses in mid-picture is found out: the piece is dropped and counted, and pictures wait again."""
    assembly, now_ns = learnt()
    assert assembly.release(now_ns + 5 * NS_PER_MS) is not None
    assert assembly.add(pieces(19)[2], now_ns + 8 * NS_PER_MS) is None
    assert assembly.too_late == 1
    take(assembly, pieces(20), now_ns + _PERIOD_NS)
    assert assembly.release(now_ns + _PERIOD_NS + 100 * NS_PER_MS) is None


def test_a_camera_that_cuts_its_pieces_otherwise_is_waited_for() -> None:
    """Where a short piece was followed by more of its slice, a short piece says nothing."""
    assembly, now_ns = learnt()
    for part in (_H264_KEY + b"\x55" * 700, b"\x55" * 700, b"\x55" * 700):
        assembly.add(Piece(part, 20, 20 * NS_PER_MS, None), now_ns + _PERIOD_NS)
    take(assembly, pieces(21), now_ns + 2 * _PERIOD_NS)
    assert not assembly.looks_whole


def test_parameters_go_with_the_picture_after_them() -> None:
    """Parameters are no picture, whatever time stamp they carry."""
    assembly = Assembly("h264", sure_ns=_SURE_NS)
    assert assembly.add(Piece(_H264_PARAMETERS, 1, NS_PER_MS, None), 0) is None
    assert assembly.pause_left_ns(0) is None
    assert take(assembly, pieces(2), 0) == []
    (unit,) = take(assembly, pieces(3), _PERIOD_NS)
    assert unit.pts == 2
    assert unit.data.startswith(_H264_PARAMETERS + _H264_KEY)


def test_an_unknown_codec_is_joined_by_its_time_stamps() -> None:
    """Where nothing is known of a codec's units, each picture waits for the next."""
    assembly, now_ns = learnt("mpeg4")
    assert not assembly.looks_whole
    assert assembly.release(now_ns + _PERIOD_NS) is None
    assert len(take(assembly, pieces(20), now_ns + _PERIOD_NS)) == 1


def test_what_came_while_a_stream_was_opened_is_dated_back() -> None:
    """Pieces that are read in one moment have the times that their stamps say, reckoned from the last of them."""
    backlog = Backlog(Fraction(1, 90_000))
    for index in range(4):
        assert backlog.takes(Piece(b"", index * 18_000, 10 * _PERIOD_NS + index, None), blocked_ns=9, now_ns=index)
    assert backlog.left_ns(3 + NS_PER_MS) == 19 * NS_PER_MS
    assert not backlog.takes(Piece(b"", 72_000, 0, None), blocked_ns=_PERIOD_NS, now_ns=_PERIOD_NS)
    received = [piece.received_ns for piece in backlog.dated()]
    assert received == [10 * _PERIOD_NS + 3 - earlier * _PERIOD_NS for earlier in (3, 2, 1, 0)]
    assert backlog.over
    assert backlog.dated() == []
    assert not backlog.takes(Piece(b"", 90_000, 0, None), blocked_ns=0, now_ns=0)


def test_a_piece_without_a_stamp_keeps_its_receipt() -> None:
    """Where there is no time stamp, there is nothing to date back by."""
    backlog = Backlog(Fraction(1, 90_000))
    backlog.takes(Piece(b"", None, 7, None), blocked_ns=0, now_ns=0)
    assert [piece.received_ns for piece in backlog.dated()] == [7]
