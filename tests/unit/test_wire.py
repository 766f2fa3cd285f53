import struct
import zlib

import msgspec
import pytest

from shared.errors import UnsupportedVersionError, WireError
from shared.wire import DeadLetter, Encoding, FrameMessage, Message, VerdictMessage, decode, encode
from tests.lines import announcement, capture, inspected

LETTER = DeadLetter("topic", 0, 7, "error", "detector")


def message_of(header: bytes, *, major: int = 1, minor: int = 5, schema: int = 5, payload: bytes = b"") -> bytes:
    """Return a message as another version of this program would write it."""
    prefix = struct.pack("<2sBBHI", b"LW", major, minor, schema, len(header))
    checksum = zlib.crc32(payload, zlib.crc32(header, zlib.crc32(prefix)))
    return prefix + struct.pack("<I", checksum) + header + payload


def test_the_layout_is_the_documented_one() -> None:
    """Another program can write our messages from the module's docstring alone."""
    assert message_of(msgspec.msgpack.encode(LETTER), payload=b"payload") == encode(LETTER, b"payload")


def test_a_newer_minor_version_is_read() -> None:
    """Header fields that this reader does not know are ignored, at any depth."""
    fields = msgspec.to_builtins(FrameMessage(capture(), Encoding.RAW, 1, 1, 1))
    fields["exposure_us"] = {"nested": [1, 2]}
    fields["capture"]["id"]["shift"] = "night"
    data = message_of(msgspec.msgpack.encode(fields), minor=9, schema=2, payload=b"x")
    message, payload = decode(FrameMessage, data)
    assert message == FrameMessage(capture(), Encoding.RAW, 1, 1, 1)
    assert bytes(payload) == b"x"


def test_a_newer_major_version_is_refused_with_a_remedy() -> None:
    """What this reader cannot know it does not guess."""
    with pytest.raises(UnsupportedVersionError, match="Update this role"):
        decode(DeadLetter, message_of(msgspec.msgpack.encode(LETTER), major=2))


def test_another_schema_is_refused() -> None:
    """A message of one kind is never read as one of another."""
    with pytest.raises(WireError, match="schema 3, expected 5"):
        decode(DeadLetter, encode(VerdictMessage(inspected(1.0))))


@pytest.mark.parametrize("message", [announcement(), VerdictMessage(inspected(float("inf"))), LETTER])
def test_payload_is_a_view_into_the_message(message: Message) -> None:
    """The payload is not copied, whether the message comes as bytes or as a view."""
    data = encode(message, memoryview(b"pixels"))
    for given in (data, memoryview(data)):
        _, payload = decode(type(message), given)  # type: ignore[type-var]
        assert payload.obj is data
        assert bytes(payload) == b"pixels"


def test_a_header_length_beyond_the_message_is_refused() -> None:
    """The length is checked before it is used, even under a checksum that fits."""
    prefix = struct.pack("<2sBBHI", b"LW", 1, 0, 5, 1_000)
    with pytest.raises(WireError, match="cut or changed"):
        decode(DeadLetter, prefix + struct.pack("<I", zlib.crc32(b"abc", zlib.crc32(prefix))) + b"abc")
