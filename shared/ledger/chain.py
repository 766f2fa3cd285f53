"""One line's decisions as a chain: each record holds its place, the hash of the record before, and its own.

A link travels as the payload of a Decision's message, which readers that do not know it leave alone, little-endian:

offset  size  what
0       1     version of the ledger
1       8     when this chain began, UTC nanoseconds: it tells a line's chains apart
9       8     sequence within the chain, from 1
17      32    hash of the record before; zeros for the first
49      32    hash of this record
81      n     only for the first: why a chain begins here, UTF-8

The hash is SHA-256 over "linewarden-ledger", the version, began, sequence, the hash before, the length of the origin
and the origin, and the decision's own bytes as they lie on the topic, so that nothing is encoded anew to verify it.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import Final

import msgspec

from shared.domain import Decision
from shared.errors import UnsupportedVersionError, WireError

VERSION: Final = 1
NOTHING: Final = bytes(32)
"""What the first record of a chain follows."""
_LINK: Final = struct.Struct("<BQQ32s32s")
_HASHED: Final = struct.Struct("<17sBQQ32sH")
_NAME: Final = b"linewarden-ledger"
_ORIGIN_BYTES: Final = 1_000
_ENCODER: Final = msgspec.msgpack.Encoder()


@dataclass(frozen=True, slots=True)
class Link:
    """A record's place in its line's chain. `origin` says, in the first record alone, why a chain begins there."""

    began_ns: int
    sequence: int
    previous: bytes
    digest: bytes
    origin: str = ""

    @property
    def place(self) -> tuple[int, int]:
        """Return what orders records: of two chains the one that began later is the newer."""
        return self.began_ns, self.sequence


@dataclass(frozen=True, slots=True)
class LedgerRecord:
    """A decision's bytes and its place; a decision from before the ledger has none."""

    decision: bytes
    link: Link | None

    @property
    def place(self) -> tuple[int, int]:
        """Return the link's place; what has none comes before all."""
        return (-1, -1) if self.link is None else self.link.place


def decision_bytes(decision: Decision) -> bytes:
    """Return the bytes that are hashed, kept and published."""
    return _ENCODER.encode(decision)


def first_link(decision: bytes, *, began_ns: int, origin: str) -> Link:
    """Begin a chain with this decision, saying why."""
    cut = origin.encode()[:_ORIGIN_BYTES].decode(errors="ignore")
    return Link(began_ns, 1, NOTHING, digest_of(decision, began_ns, 1, NOTHING, cut), cut)


def next_link(before: Link, decision: bytes) -> Link:
    """Put this decision behind `before`."""
    sequence = before.sequence + 1
    digest = digest_of(decision, before.began_ns, sequence, before.digest)
    return Link(before.began_ns, sequence, before.digest, digest)


def digest_of(decision: bytes | memoryview, began_ns: int, sequence: int, previous: bytes, origin: str = "") -> bytes:
    """Return a record's hash."""
    told = origin.encode()
    hashed = hashlib.sha256(_HASHED.pack(_NAME, VERSION, began_ns, sequence, previous, len(told)) + told)
    hashed.update(decision)
    return hashed.digest()


def pack(link: Link) -> bytes:
    """Return a link's bytes."""
    return _LINK.pack(VERSION, link.began_ns, link.sequence, link.previous, link.digest) + link.origin.encode()


def unpack(data: bytes | memoryview) -> Link:
    """Return the link in `data`; raises `WireError` for what is none."""
    if len(data) < _LINK.size:
        raise WireError(f"a ledger link of {len(data)} bytes is shorter than {_LINK.size}")
    version, began_ns, sequence, previous, digest = _LINK.unpack_from(data)
    if version != VERSION:
        raise UnsupportedVersionError(
            f"a ledger record has version {version}, this reader knows {VERSION}", "Update linewarden."
        )
    try:
        origin = str(data[_LINK.size :], "utf-8")
    except UnicodeDecodeError as error:
        raise WireError("a ledger link's origin is not UTF-8") from error
    if len(origin.encode()) > _ORIGIN_BYTES:
        raise WireError("a ledger link's origin is too long")
    return Link(began_ns, sequence, previous, digest, origin)
