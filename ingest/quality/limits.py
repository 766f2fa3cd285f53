"""What good pictures of a camera look like: learnt from some, and kept in a file."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.quality.look import Look, difference, likeness, small_size
from shared.errors import ConfigError, DataError

_VERSION: Final = 1
_MARGIN: Final = 3.0
"""So many robust deviations beyond what good pictures show; a false alarm costs a good part."""
_LEAST_PICTURES: Final = 10
_STEADY_LEVELS: Final = 25.0
"""A pixel that differs by no more between good pictures shows what stands still: the machine around the parts."""
_LEAST_STEADY: Final = 0.1
_LEAST_STRUCTURE: Final = 5.0
_LEAST_LIKENESS: Final = 0.9
_LEAST_FOR_MOVED: Final = 30
"""So many pictures show what stands still; fewer show only what has not moved yet."""
_DIMMED: Final = 0.6
_MOSTLY: Final = 0.45
_NORMAL: Final = 1.4826
"""From a median absolute deviation to a standard deviation of normal values."""


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What good pictures of a camera look like.

    `frozen_below` is the least mean difference between two pictures in a row, in levels of 0..255. `moved_below` is the
    least likeness of what stands still in all of them, which the reference picture shows and `steady` marks (one byte a
    pixel, as base64); None where too little stands still, or it has no structure.
    """

    version: int
    width_px: int
    height_px: int
    pictures: int
    brightness_from: float
    brightness_to: float
    highlight_from: float
    saturated_above: float
    blurred_below: float
    frozen_below: float
    moved_below: float | None
    reference: str
    steady: str


def learn_limits(looks: Sequence[Look]) -> Limits:
    """Return the limits that good pictures, in the order in which they were taken, keep with a margin.

    Raises `DataError` for fewer than 10, for pictures of two sizes, and for pictures of which two in a row are equal.
    """
    if len(looks) < _LEAST_PICTURES:
        raise DataError(f"{len(looks)} good pictures say too little", f"Give {_LEAST_PICTURES} or more, better 50.")
    sizes = {(look.width_px, look.height_px) for look in looks}
    if len(sizes) > 1:
        raise DataError(f"the good pictures have {len(sizes)} sizes: {sorted(sizes)}", "Give those of one camera.")
    differences = [difference(look, before) for before, look in pairwise(looks)]
    if min(differences) == 0:
        raise DataError(
            "two good pictures in a row are equal to the pixel", "Is the camera frozen? Let parts pass while it learns."
        )
    brightness_from, brightness_to = _range([look.brightness for look in looks])
    smalls = np.stack([look.small for look in looks])
    reference = np.asarray(np.median(smalls, axis=0), dtype=np.float32)
    # Brightness may change with the day: what counts is what a pixel does beside the others.
    steady = np.ptp(smalls - smalls.mean(axis=(1, 2), keepdims=True), axis=0) <= _STEADY_LEVELS
    (width_px, height_px), *_ = sizes
    return Limits(
        version=_VERSION,
        width_px=width_px,
        height_px=height_px,
        pictures=len(looks),
        brightness_from=max(1.0, brightness_from),
        brightness_to=min(254.0, brightness_to),
        highlight_from=_DIMMED * min(look.highlight for look in looks),
        saturated_above=_share_limit(max(look.saturated for look in looks)),
        # In octaves: defocus divides sharpness, whatever it was.
        blurred_below=float(np.exp(_range([float(np.log(look.sharpness + 1e-6)) for look in looks])[0])),
        # A frozen picture may still be encoded anew each time: a tenth of the least change between two parts.
        frozen_below=min(differences) / 10,
        moved_below=_least_likeness(looks, reference, steady),
        reference=_packed(reference),
        steady=_packed(steady),
    )


def _least_likeness(looks: Sequence[Look], reference: NDArray[np.float32], steady: NDArray[np.bool_]) -> float | None:
    """Return the likeness below which what stands still has moved, or None where that cannot be told."""
    if len(looks) < _LEAST_FOR_MOVED or steady.mean() < _LEAST_STEADY or reference[steady].std() < _LEAST_STRUCTURE:
        return None
    least = min(likeness(look, reference, steady) for look in looks)
    return None if least < _LEAST_LIKENESS else least - 3 * (1 - least) - 0.05


def reference_of(limits: Limits) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the usual picture (h, w) float32, and which pixels of it stand still; DataError when it is not whole."""
    width, height = small_size(limits.width_px, limits.height_px)
    pixels = []
    for text in (limits.reference, limits.steady):
        try:
            values = np.frombuffer(base64.b64decode(text, validate=True), dtype=np.uint8)
        except ValueError:
            values = np.zeros(0, dtype=np.uint8)
        if values.size != width * height:
            raise DataError(
                f"the limits' reference picture has {values.size} pixels, not {width * height}", "Calibrate again."
            )
        pixels.append(values.reshape(height, width))
    return pixels[0].astype(np.float32), pixels[1] > 0


def write_limits(limits: Limits, path: Path) -> None:
    """Write limits as JSON; ConfigError when the file cannot be written."""
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(limits), indent=2) + b"\n")
    except OSError as error:
        raise ConfigError(f"cannot write {str(path)!r}: {error.strerror}", "Give another file.") from None


def read_limits(path: Path) -> Limits:
    """Read what `write_limits` wrote; ConfigError names a file that is not there, DataError one that is no limits."""
    remedy = "`linewarden cameras calibrate` writes it."
    try:
        limits = msgspec.json.decode(path.read_bytes(), type=Limits)
    except OSError as error:
        raise ConfigError(f"limits file {str(path)!r} cannot be read: {error.strerror}", remedy) from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DataError(f"limits file {str(path)!r} is not what was written: {error}", remedy) from None
    if min(limits.width_px, limits.height_px) < 1:
        raise DataError(f"limits file {str(path)!r} is for pictures of {limits.width_px}x{limits.height_px}", remedy)
    if limits.version != _VERSION:
        raise DataError(f"limits file {str(path)!r} has version {limits.version}, not {_VERSION}", remedy)
    return limits


def _range(values: Sequence[float]) -> tuple[float, float]:
    """Return the range of good values, widened by their own spread and by a little of their own size."""
    middle = float(np.median(values))
    spread = max(_NORMAL * float(np.median(np.abs(np.asarray(values) - middle))), 0.02 * abs(middle), 1e-3)
    return min(values) - _MARGIN * spread, max(values) + _MARGIN * spread


def _share_limit(worst: float) -> float:
    """Return the share of saturated pixels above which a picture is bad; 1 where good ones are mostly white."""
    return 1.0 if worst > _MOSTLY else 2 * worst + 0.1


def _packed(values: NDArray[np.float32] | NDArray[np.bool_]) -> str:
    return base64.b64encode(np.clip(values, 0, 255).astype(np.uint8).tobytes()).decode()
