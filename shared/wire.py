"""Messages to bytes and back: a fixed prefix, a msgspec header and the raw payload, which is never copied on decoding.

offset  size  what
0       2     magic b"LW"
2       1     major version: a reader refuses a newer one
3       1     minor version: a newer one only adds header fields, which an older reader ignores
4       2     schema id, little-endian
6       4     header length in bytes, little-endian
10      4     CRC-32 (zlib) of the ten bytes before, the header and the payload, little-endian
14      n     header: one record of `MESSAGES`, msgpack
14+n    m     payload: encoded pixels, an overlay, the original bytes of a dead letter, or a decision's place in the
              ledger (`shared.ledger.chain`)
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

import msgspec
from isal.isal_zlib import crc32

from shared.domain import CameraReport, Capture, Decision, PartAnnouncement, Verdict
from shared.errors import UnsupportedVersionError, WireError
from shared.policy_record import PolicyChange

MAGIC = b"LW"
MAJOR = 1
MINOR = 5
_PREFIX = struct.Struct("<2sBBHI")
_CHECKSUM = struct.Struct("<I")
_BODY_AT = _PREFIX.size + _CHECKSUM.size


class Encoding(StrEnum):
    """How the payload of a frame holds its pixels."""

    JPEG = "jpeg"
    PNG = "png"
    RAW = "raw"


@dataclass(frozen=True, slots=True)
class PayloadReference:
    """What must lie in the store under the capture's identity: so many bytes, with this CRC-32 (zlib)."""

    size_bytes: int
    crc32: int


@dataclass(frozen=True, slots=True)
class FrameMessage:
    """A frame on the bus; the payload is `height_px` x `width_px` x `channels` (RGB or grey), encoded.

    `depth_bits` is 8 or 16, the raw payload of 16 little-endian; a reader that does not know the field finds a picture
    that is not whole, or reads its upper 8.

    With a `reference` the payload lies in the store instead, and the message's own is empty: a reader that does not
    know the field finds a picture that is not whole.
    """

    capture: Capture
    encoding: Encoding
    width_px: int
    height_px: int
    channels: int
    stamps_ns: dict[str, int] = field(default_factory=dict)
    reference: PayloadReference | None = None
    depth_bits: int = 8


@dataclass(frozen=True, slots=True)
class VerdictMessage:
    """A verdict on the bus; the payload is a JPEG of the frame with the anomaly overlaid, or empty.

    No verdict waits until its picture is drawn: one that `repeats` an earlier message brings the picture for it, and
    nothing else. A reader that does not know the field takes it for a verdict that came twice.
    """

    verdict: Verdict
    repeats: bool = False


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Why a message could not be handled; the payload is the message as it was."""

    topic: str
    partition: int
    offset: int
    error: str
    place: str


Message = PartAnnouncement | FrameMessage | VerdictMessage | Decision | DeadLetter | CameraReport | PolicyChange
M = TypeVar("M", PartAnnouncement, FrameMessage, VerdictMessage, Decision, DeadLetter, CameraReport, PolicyChange)

MESSAGES: dict[int, type[Message]] = {
    1: PartAnnouncement,
    2: FrameMessage,
    3: VerdictMessage,
    4: Decision,
    5: DeadLetter,
    6: CameraReport,
    7: PolicyChange,
}
_SCHEMA_IDS = {kind: number for number, kind in MESSAGES.items()}
_ENCODER = msgspec.msgpack.Encoder()
_DECODERS = {number: msgspec.msgpack.Decoder(kind) for number, kind in MESSAGES.items()}


def encode(message: Message, payload: bytes | memoryview = b"") -> bytes:
    """Return `message` and its payload as one byte string."""
    return framed(type(message), _ENCODER.encode(message), payload)


def framed(kind: type[Message], header: bytes, payload: bytes | memoryview = b"") -> bytes:
    """Return a message of `kind` whose header is encoded already."""
    prefix = _PREFIX.pack(MAGIC, MAJOR, MINOR, _SCHEMA_IDS[kind], len(header))
    checksum = crc32(payload, crc32(header, crc32(prefix)))
    return b"".join((prefix, _CHECKSUM.pack(checksum), header, payload))


def kind_of(data: bytes | memoryview) -> type[Message] | None:
    """Return which kind of message `data` says it is, or None where it says nothing that is known."""
    view = memoryview(data)
    if len(view) < _BODY_AT or bytes(view[: len(MAGIC)]) != MAGIC:
        return None
    return MESSAGES.get(_PREFIX.unpack_from(view)[3])


def decode(kind: type[M], data: bytes | memoryview) -> tuple[M, memoryview]:
    """Return the message of `kind` in `data`, and its payload as a view into `data`.

    Raises `UnsupportedVersionError` for a newer major version, `WireError` for everything else that is not a whole
    message of that kind.
    """
    header, payload = opened(kind, data)
    try:
        message = _DECODERS[_SCHEMA_IDS[kind]].decode(header)
    # Text that is not UTF-8 and values nested too deeply come out of msgspec as Python's own errors.
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"a message header does not fit {kind.__name__}: {error}") from error
    if not isinstance(message, kind):
        raise WireError(f"a message header does not fit {kind.__name__}")
    return message, payload


def opened(kind: type[Message], data: bytes | memoryview) -> tuple[memoryview, memoryview]:
    """Return header and payload of a whole message of `kind`, as views into `data`; raises like `decode`."""
    view = memoryview(data)
    if len(view) < _BODY_AT:
        raise WireError(f"a message of {len(view)} bytes is shorter than its fixed prefix")
    magic, major, _minor, schema_id, header_length = _PREFIX.unpack_from(view)
    if magic != MAGIC:
        raise WireError("a message does not begin with the magic bytes LW")
    if major > MAJOR:
        raise UnsupportedVersionError(
            f"a message has major version {major}, this reader knows {MAJOR}", "Update this role before its writers."
        )
    if schema_id != _SCHEMA_IDS[kind]:
        raise WireError(f"a message has schema {schema_id}, expected {_SCHEMA_IDS[kind]} ({kind.__name__})")
    body = view[_BODY_AT:]
    checksum = crc32(body, crc32(view[: _PREFIX.size]))
    if header_length > len(body) or _CHECKSUM.unpack_from(view, _PREFIX.size) != (checksum,):
        raise WireError("a message was cut or changed on its way (checksum)")
    return body[:header_length], body[header_length:]
