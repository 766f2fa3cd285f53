"""Which frames go by reference, and how long their payloads live."""

from __future__ import annotations

import zlib

import pytest

from ingest.claim import Packed, life_s, pack
from shared.bus.base import Publication
from shared.clock import NS_PER_S
from shared.domain import Capture, CaptureId
from shared.wire import Encoding, FrameMessage, PayloadReference, decode

CAPTURE = Capture(CaptureId("line", "camera", 1, 1), "p1", 1_000 * NS_PER_S, 1_010 * NS_PER_S)


def packed(size_bytes: int, *, by_reference_from: int | None) -> Packed:
    """Pack a payload of so many bytes."""
    return pack(
        FrameMessage(CAPTURE, Encoding.RAW, 1, 1, 1),
        bytes(size_bytes),
        by_reference_from=by_reference_from,
        publication=lambda value: Publication("frames", value, key=None, partition=0),
    )


@pytest.mark.parametrize(("size_bytes", "by_reference_from"), [(99, 100), (1_000, None), (0, 1)])
def test_a_payload_below_the_limit_travels(size_bytes: int, by_reference_from: int | None) -> None:
    """And any does without a limit."""
    frame = packed(size_bytes, by_reference_from=by_reference_from)
    message, payload = decode(FrameMessage, frame.publication.value)
    assert (message.reference, bytes(payload), frame.payload) == (None, bytes(size_bytes), None)


def test_a_payload_of_the_limit_lies_beside_its_message() -> None:
    """The message says how large it is and what its checksum is, and both count as held."""
    frame = packed(100, by_reference_from=100)
    message, payload = decode(FrameMessage, frame.publication.value)
    assert message.reference == PayloadReference(100, zlib.crc32(bytes(100)))
    assert (len(payload), frame.payload) == (0, bytes(100))
    assert frame.size_bytes == 100 + len(frame.publication.value)


@pytest.mark.parametrize(("now_s", "lives_s"), [(1_000, 15), (1_004.5, 11), (1_010, 5), (1_500, 5), (500, 15)])
def test_a_payload_lives_until_its_gate_and_five_seconds(now_s: float, lives_s: int) -> None:
    """Whatever the clock says, never less than five seconds and never longer than the line's own time and those."""
    assert life_s(CAPTURE, round(now_s * NS_PER_S)) == lives_s
