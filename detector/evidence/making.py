"""From a held frame to evidence: the picture as it was judged, the heat map on an absolute scale, the overlay."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from detector.decode import decode_frame
from detector.overlay import overlay_jpeg
from shared.depth import in_eight_bits
from shared.errors import PictureError
from shared.evidence import CameraEvidence, HeatScale, Thresholds
from shared.wire import Encoding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.evidence.shelf import Held
    from shared.domain import Picture
    from shared.policy import Limits

SCALE_REACH: Final = 4.0
"""A heat map reaches from 0 to so many times the model's region level: what is brighter is far beyond doubt."""
_QUALITY: Final = 95
_LESSER_QUALITY: Final = 88
_SHRINK: Final = 0.8
_HIGHEST: Final = 255
_EIGHT: Final = 8
_COLOUR_DIMENSIONS: Final = 3


def make_evidence(held: Held, limits: Limits, *, picture_bytes: int) -> CameraEvidence:
    """Return the evidence of a frame that was judged by `limits`; a picture of more than `picture_bytes` is shrunk.

    What cannot be made is left out, and `notes` say why: there is no error.
    """
    notes = []
    pixels: Picture | None = None
    if len(held.payload):
        try:
            pixels = decode_frame(held.message, held.payload)
        except PictureError as error:
            notes.append(f"no picture: {error.problem}")
    else:
        notes.append("no picture: it never reached the detector")
    picture, exact = b"", False
    if pixels is not None:
        picture, exact = _picture(held, pixels, picture_bytes)
        if not exact:
            notes.append("the picture was encoded again, as a JPEG of 8 bits")
    found, overlay, heat, scale, golden = held.found, held.overlay, b"", None, None
    if found is None:
        notes.append("no heat map: no model looked")
    else:
        scale = scale_of(held.model.region_level)
        heat = png(heat_pixels(found.anomaly_map.values, scale))
        if not overlay and pixels is not None:
            low = held.model.region_level
            overlay = overlay_jpeg(pixels, found.anomaly_map, found.regions, low=low, high=2 * low)
        golden = None if found.golden is None else found.golden()
        if golden is None:
            notes.append("no golden picture: the model keeps no training pictures; one that is trained again does")
    message = held.message
    return CameraEvidence(
        verdict=held.verdict,
        thresholds=Thresholds(
            limits.reject_at, limits.borderline_from, limits.reject_raw_at, held.model.raw_at(limits.reject_at)
        ),
        width_px=message.width_px,
        height_px=message.height_px,
        picture=picture,
        exact=exact,
        heat_map=heat,
        scale=scale,
        peak=None if found is None else _peak(found.anomaly_map.values),
        overlay=overlay,
        golden=golden,
        notes=tuple(notes),
    )


def scale_of(region_level: float) -> HeatScale:
    """Return the absolute scale of a model's heat maps."""
    usable = math.isfinite(region_level) and region_level > 0
    return HeatScale(0.0, SCALE_REACH * region_level if usable else 1.0, region_level if usable else 1.0)


def heat_pixels(values: NDArray[np.float32], scale: HeatScale) -> NDArray[np.uint8]:
    """Return raw map values (h, w) as pixels (h, w) uint8 on a scale; what is no number is the highest."""
    share = (values - scale.low) / (scale.high - scale.low)
    pixels = np.rint(np.nan_to_num(share, nan=1.0, posinf=1.0, neginf=0.0).clip(0.0, 1.0) * _HIGHEST)
    return np.asarray(pixels, dtype=np.uint8)


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Return grey pixels (h, w) uint8 as a PNG."""
    done, encoded = cv2.imencode(".png", pixels)
    if not done:
        raise AssertionError("encoding an 8-bit picture as PNG cannot fail")
    return encoded.tobytes()


def _peak(values: NDArray[np.float32]) -> float | None:
    highest = float(values.max(initial=-math.inf))
    return highest if math.isfinite(highest) else None


def _picture(held: Held, pixels: Picture, most_bytes: int) -> tuple[bytes, bool]:
    """Return a JPEG of the frame within its bytes, and whether it is the very one that came."""
    message = held.message
    if message.encoding is Encoding.JPEG and message.depth_bits == _EIGHT and len(held.payload) <= most_bytes:
        return bytes(held.payload), True
    small = in_eight_bits(pixels)
    jpeg = _jpeg(small, _QUALITY)
    while len(jpeg) > most_bytes and min(small.shape[:2]) > 1:
        size = (max(1, round(small.shape[1] * _SHRINK)), max(1, round(small.shape[0] * _SHRINK)))
        small = np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        jpeg = _jpeg(small, _LESSER_QUALITY)
    return jpeg, False


def _jpeg(picture: NDArray[np.uint8], quality: int) -> bytes:
    colours = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR) if picture.ndim == _COLOUR_DIMENSIONS else picture
    done, encoded = cv2.imencode(".jpg", colours, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise AssertionError("encoding an 8-bit picture as JPEG cannot fail")
    return encoded.tobytes()
