"""Pictures as they arrive at a model: encoded by ingest, decoded by the detector."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.decode import decode_frame
from ingest.encode import encode_pixels
from shared.domain import Capture, CaptureId
from shared.wire import Encoding, FrameMessage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.model.base import Inspection, Model
    from shared.domain import Picture

_OFF_GRID_PX: Final = (3, 5)
"""Rows above and columns left that a picture is sent with and without which it is looked at."""
_CAPTURE: Final = Capture(CaptureId("bench", "bench", 0, 0), "", 0, 0)


@dataclass(frozen=True, slots=True)
class Way:
    """How frames are sent; `quality` is 0 but for JPEG."""

    encoding: Encoding
    quality: int = 0

    @property
    def name(self) -> str:
        """Return it for people."""
        return f"jpeg {self.quality}" if self.quality else self.encoding.value


class SentModel:
    """A model that sees each picture as it arrives: encoded by ingest, decoded by the detector.

    Many pictures of public sets were JPEGs already. At the same quality and on the same grid of blocks JPEG changes
    such a picture hardly at all, and would seem to cost less than it does on a camera's pixels: so that the grid is
    another, some mirrored rows and columns are sent along.
    """

    def __init__(self, model: Model, way: Way) -> None:
        self._model = model
        self._way = way
        self.model_id = model.model_id
        self.calibration_id = model.calibration_id
        self.profile = model.profile
        self.region_level = model.region_level
        self.scores: list[float] = []
        """The calibrated score of each picture so far."""
        self.sizes_bytes: list[int] = []
        self.encode_ms: list[float] = []
        self.decode_ms: list[float] = []

    def inspect(self, pictures: Sequence[Picture]) -> list[Inspection]:
        """Send the pictures and inspect what arrives."""
        inspections = self._model.inspect([self._sent(as_camera_gives(picture)) for picture in pictures])
        self.scores += [inspection.score for inspection in inspections]
        return inspections

    def _sent(self, original: Picture) -> Picture:
        way = self._way
        picture = _off_grid(original)
        message = FrameMessage(
            _CAPTURE,
            way.encoding,
            picture.shape[1],
            picture.shape[0],
            1 if picture.ndim == 2 else picture.shape[2],  # noqa: PLR2004
        )
        began = time.perf_counter()
        payload = encode_pixels(picture, way.encoding, jpeg_quality=way.quality)
        encoded = time.perf_counter()
        arrived = decode_frame(message, payload)
        self.encode_ms.append((encoded - began) * 1e3)
        self.decode_ms.append((time.perf_counter() - encoded) * 1e3)
        self.sizes_bytes.append(len(payload))
        return arrived[_OFF_GRID_PX[0] :, _OFF_GRID_PX[1] :]


def as_camera_gives(picture: Picture) -> Picture:
    """Return grey (H, W) where all channels are alike: files are read as RGB, and a grey camera sends no colours."""
    if picture.ndim == 2 or not ((picture[..., 0] == picture[..., 1]) & (picture[..., 1] == picture[..., 2])).all():  # noqa: PLR2004
        return picture
    return picture[..., 0].copy()


def _off_grid(picture: Picture) -> Picture:
    above, left = _OFF_GRID_PX
    padded = np.pad(picture, ((above, 0), (left, 0), (0, 0))[: picture.ndim], mode="reflect")
    return np.asarray(padded, dtype=np.uint16) if picture.dtype == np.uint16 else np.asarray(padded, dtype=np.uint8)
