"""What holds for any message, and for any bytes that are none."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field, replace
from typing import TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.decode import decode_frame
from shared.domain import (
    CameraFinding,
    Capture,
    CaptureId,
    Decision,
    NotInspected,
    Outcome,
    PartAnnouncement,
    Region,
    Verdict,
    VerdictStatus,
)
from shared.envelope import capture_headers, capture_of
from shared.errors import PictureError, WireError
from shared.wire import (
    MESSAGES,
    DeadLetter,
    Encoding,
    FrameMessage,
    Message,
    PayloadReference,
    VerdictMessage,
    decode,
    encode,
)

M = TypeVar("M", PartAnnouncement, FrameMessage, VerdictMessage, Decision, DeadLetter)

names = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="/"), min_size=1, max_size=20)
texts = st.text(max_size=20)
times = st.integers(0, (1 << 63) - 1)
floats = st.none() | st.floats(allow_nan=False)
stamps = st.dictionaries(names, times, max_size=4)
captures = st.builds(Capture, st.builds(CaptureId, names, names, times, times), names, times, times)
regions = st.builds(Region, *([st.integers(0, 10_000)] * 5), st.floats(allow_nan=False))
reasons = st.none() | st.sampled_from(NotInspected)
verdicts = st.builds(
    Verdict,
    captures,
    st.sampled_from(VerdictStatus),
    reasons,
    floats,
    floats,
    st.lists(regions, max_size=3).map(tuple),
    texts,
    texts,
    stamps,
)
findings = st.builds(CameraFinding, names, st.sampled_from(VerdictStatus), reasons, floats, floats, texts, texts)
decisions = st.builds(
    Decision,
    names,
    names,
    st.sampled_from(Outcome),
    texts,
    st.floats(0, 12),
    st.lists(findings, max_size=3).map(tuple),
    times,
    times,
    times,
    st.none() | texts,
    stamps,
)
announcements = st.builds(
    PartAnnouncement, names, names, st.lists(names, max_size=3).map(tuple), times, times, st.none() | texts
)
references = st.none() | st.builds(PayloadReference, st.integers(0, 1 << 40), st.integers(0, (1 << 32) - 1))
frames = st.builds(
    FrameMessage, captures, st.sampled_from(Encoding), *([st.integers(0, 9_999)] * 3), stamps, references
)
letters = st.builds(DeadLetter, texts, st.integers(0, 99), times, texts, texts)
messages: st.SearchStrategy[Message] = (
    announcements | frames | st.builds(VerdictMessage, verdicts) | decisions | letters
)
payloads = st.binary(max_size=200)


def refused(kind: type[M], data: bytes) -> bool:
    """Return whether `data` is refused with a WireError; any other error is raised."""
    try:
        decode(kind, data)
    except WireError:
        return True
    return False


@given(messages, payloads)
def test_every_message_survives(message: Message, payload: bytes) -> None:
    """What was encoded is what is decoded, and the payload is a view into the same bytes."""
    data = encode(message, payload)
    found, view = decode(type(message), data)  # type: ignore[type-var]
    assert found == message
    assert view == payload
    assert view.obj is data


@dataclass(frozen=True, slots=True)
class FrameMessageOfOld:
    """What a reader knows of a frame that has not heard of references."""

    capture: Capture
    encoding: Encoding
    width_px: int
    height_px: int
    channels: int
    stamps_ns: dict[str, int] = field(default_factory=dict)


@given(frames)
def test_an_older_reader_finds_a_frame_by_reference_empty(message: FrameMessage) -> None:
    """It reads everything else, and a payload of no bytes, which is a bad image and no picture to pass."""
    view = decode(FrameMessage, encode(message))[1]
    header = msgspec.msgpack.encode(message)
    old = msgspec.msgpack.decode(header, type=FrameMessageOfOld)
    assert (old.capture, old.encoding, old.stamps_ns) == (message.capture, message.encoding, message.stamps_ns)
    assert len(view) == 0
    with pytest.raises(PictureError):
        decode_frame(replace(message, reference=None), view)


@dataclass(frozen=True, slots=True)
class VerdictOfOld:
    """What a reader knows of a verdict that has not heard of the frame's size."""

    capture: Capture
    status: VerdictStatus
    reason: NotInspected | None = None
    raw_score: float | None = None
    score: float | None = None
    regions: tuple[Region, ...] = ()


@dataclass(frozen=True, slots=True)
class FindingOfOld:
    """What a reader knows of a finding that has not heard of places."""

    camera: str
    status: VerdictStatus
    reason: NotInspected | None
    raw_score: float | None
    score: float | None


@given(verdicts, findings)
def test_an_older_reader_misses_only_what_it_does_not_know(verdict: Verdict, finding: CameraFinding) -> None:
    """Of verdicts with the size of their frames, and findings with places."""
    newer = replace(verdict, size_px=(640, 480))
    old = msgspec.msgpack.decode(msgspec.msgpack.encode(newer), type=VerdictOfOld)
    assert (old.capture, old.score, old.regions) == (verdict.capture, verdict.score, verdict.regions)
    placed = msgspec.msgpack.encode(replace(finding, place=(0.5, 0.25)))
    assert msgspec.msgpack.decode(placed, type=FindingOfOld).score == finding.score


@given(announcements, payloads)
def test_every_truncation_is_refused(message: PartAnnouncement, payload: bytes) -> None:
    """A message cut at any byte is no message."""
    data = encode(message, payload)
    assert all(refused(PartAnnouncement, data[:length]) for length in range(len(data)))


@given(frames, payloads, st.data())
def test_every_flipped_bit_is_refused(message: FrameMessage, payload: bytes, drawn: st.DataObject) -> None:
    """One bit, anywhere, prefix and payload included."""
    data = bytearray(encode(message, payload))
    bit = drawn.draw(st.integers(0, len(data) * 8 - 1))
    data[bit // 8] ^= 1 << bit % 8
    assert refused(FrameMessage, bytes(data))


def test_every_flipped_bit_of_the_prefix_is_refused() -> None:
    """The fixed prefix is guarded as well, bit by bit."""
    data = encode(DeadLetter("topic", 0, 1, "error", "place"), b"payload")
    for bit in range(14 * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        assert refused(DeadLetter, bytes(flipped)), bit


@given(st.sampled_from(sorted(MESSAGES.items())), st.binary(max_size=200), st.booleans())
def test_random_bytes_raise_nothing_else(schema: tuple[int, type[Message]], raw: bytes, sealed: bool) -> None:
    """Random bytes, and random bytes under a checksum that fits, are refused with WireError alone."""
    number, kind = schema
    if sealed:
        prefix = struct.pack("<2sBBHI", b"LW", 1, 0, number, len(raw))
        raw = prefix + struct.pack("<I", zlib.crc32(raw, zlib.crc32(prefix))) + raw
    assert refused(kind, raw)  # type: ignore[type-var]


json_like = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats() | texts | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)


FIELDS = ("line", "part_id", "cameras", "captured_at_ns", "decide_by_ns", "label")


@given(announcements, st.sampled_from(FIELDS), json_like)
def test_a_header_with_a_field_of_another_type_raises_nothing_else(
    message: PartAnnouncement, name: str, value: object
) -> None:
    """A well-formed header whose fields hold something else is read if it fits, and refused if not."""
    fields = msgspec.to_builtins(message)
    fields[name] = value
    header = msgspec.msgpack.encode(fields)
    prefix = struct.pack("<2sBBHI", b"LW", 1, 0, 1, len(header))
    refused(PartAnnouncement, prefix + struct.pack("<I", zlib.crc32(header, zlib.crc32(prefix))) + header)


@given(captures)
def test_headers_say_whose_message_it_is(capture: Capture) -> None:
    """The bus headers give the capture back."""
    assert capture_of(capture_headers(capture, "frame")) == capture


@given(st.lists(st.tuples(st.sampled_from(["ce_id", "ce_subject", "ce_capturedatns", "ce_decidebyns"]), payloads)))
def test_random_headers_raise_nothing(headers: list[tuple[str, bytes]]) -> None:
    """Headers that nobody of ours wrote say nothing, or something that fits on the wire."""
    capture = capture_of(headers)
    if capture is not None:
        encode(VerdictMessage(Verdict(capture, VerdictStatus.NOT_INSPECTED)))


@pytest.mark.parametrize("header", [b"\xa2\xff\xfe", b"\x81\xa4line\xa2\xff\xfe", b"\x81\xa1x" + b"\x91" * 100_000])
def test_text_that_is_none_and_bottomless_nesting_are_refused(header: bytes) -> None:
    """Header bytes on which msgspec raises Python's own errors are refused like all others."""
    prefix = struct.pack("<2sBBHI", b"LW", 1, 0, 1, len(header))
    data = prefix + struct.pack("<I", zlib.crc32(header, zlib.crc32(prefix))) + header
    assert refused(PartAnnouncement, data)
