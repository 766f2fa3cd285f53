"""Shots to bytes and back. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import msgspec
import numpy as np

from ingest.encode import encode_pixels
from ingest.sources.base import Fault, Shot, TimeSource
from shared.domain import Picture
from shared.errors import DataError
from shared.wire import Encoding

_LOSSLESS: Final = 100
_COLOUR_AXES: Final = 3


@dataclass(frozen=True, slots=True)
class _Entry:
    """A shot as msgpack holds it; `picture` is a PNG, or None for an exposure without pixels."""

    captured_at_ns: int
    number: int | None
    label: str | None
    trigger: int | None
    encoder: int | None
    time_source: TimeSource
    fault: Fault | None
    picture: bytes | None


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(_Entry)


def encode_shot(shot: Shot) -> bytes:
    """Return a shot with every field; raises `PictureError` for pixels that are no picture."""
    picture = None
    if shot.pixels is not None:
        picture = encode_pixels(shot.pixels, Encoding.PNG, jpeg_quality=_LOSSLESS)
    entry = _Entry(
        captured_at_ns=shot.captured_at_ns,
        number=shot.number,
        label=shot.label,
        trigger=shot.trigger,
        encoder=shot.encoder,
        time_source=shot.time_source,
        fault=shot.fault,
        picture=picture,
    )
    return _ENCODER.encode(entry)


def decode_shot(data: bytes) -> Shot:
    """Return the shot that `encode_shot` made `data` of; raises `DataError` for bytes that it did not."""
    try:
        entry = _DECODER.decode(data)
    except msgspec.MsgspecError as error:
        raise DataError(f"an exposure cannot be read: {error}", "Was it recorded by a newer linewarden?") from None
    return Shot(
        pixels=None if entry.picture is None else _pixels(entry.picture),
        captured_at_ns=entry.captured_at_ns,
        number=entry.number,
        label=entry.label,
        trigger=entry.trigger,
        encoder=entry.encoder,
        time_source=entry.time_source,
        fault=entry.fault,
    )


def _pixels(png: bytes) -> Picture:
    """Return grey or RGB, of 8 or 16 bits, as it was recorded."""
    try:
        # As it is: any other flag would make colour of grey, or 8 bits of 16.
        decoded = cv2.imdecode(np.frombuffer(png, dtype=np.uint8), cv2.IMREAD_UNCHANGED) if png else None
    except cv2.error:
        decoded = None
    if decoded is None:
        raise DataError("the picture of an exposure cannot be decoded", "Record again.")
    ordered = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB) if decoded.ndim == _COLOUR_AXES else decoded
    if decoded.dtype == np.uint16:
        return np.asarray(ordered, dtype=np.uint16)
    return np.asarray(ordered, dtype=np.uint8)
