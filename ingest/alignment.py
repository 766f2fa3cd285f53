"""Where a picture lies against a reference picture: by a shift, or by an affine map. Pure.

Both are found in smaller pictures: 640 pixels are enough for a tenth of a pixel of the large one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.domain import Picture
from shared.errors import PictureError

_Real: TypeAlias = np.integer[Any] | np.floating[Any]
Map: TypeAlias = NDArray[np.float64]
"""(2, 3): where a point (x, y, 1) of the picture lies in the reference, in pixels."""

IDENTITY: Final[Map] = np.eye(2, 3)
_SIDE_PX: Final = 640
_SMALLEST_PX: Final = 32
_NEAREST: Final = 0.3
"""Below this correlation two pictures do not show the same thing; unrelated ones come to 0.1 or less by chance."""
_FARTHEST: Final = 0.25
"""Of width and height: how far a picture may be shifted."""
_MOST_STRETCH: Final = 0.2
_COARSE: Final = 4
_STEPS: Final = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-5)
_PEAK_PX: Final = 2
_CORNERS: Final = 500
_FEWEST_PAIRS: Final = 12
_COLOUR_AXES: Final = 3


@dataclass(frozen=True, slots=True, eq=False)
class _Small:
    """A picture as it is compared: grey, (height, width) float32, of mean 0; `scale` is its size by the original's."""

    values: NDArray[np.float32]
    scale: float


class Alignment:
    """Finds the map from a picture to the reference. Thread-safe.

    `find` raises `PictureError` for a picture that shows something else, or that lies farther off than a camera or a
    part is likely to move: a quarter of the picture, and for affine maps a fifth of stretch, shear or turn.
    """

    def __init__(self, reference: Picture, kind: Literal["shift", "affine"], name: str) -> None:
        """Raise `PictureError` for a reference with nothing to be seen in it; `name` is what errors call it."""
        self._kind = kind
        self._name = name
        self._shape = reference.shape[:2]
        self._reference = _small(reference)
        if float(self._reference.values.std()) == 0 or min(self._shape) < _SMALLEST_PX:
            raise PictureError(f"reference {name!r} is all alike or too small", "Take a picture of a good part.")
        self._corners = _corners(self._reference.values)
        height, width = self._reference.values.shape
        self._window = cv2.createHanningWindow((width, height), cv2.CV_32F)
        self._size = (cv2.getOptimalDFTSize(height), cv2.getOptimalDFTSize(width))
        self._spectrum = self._transform(self._reference.values)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width that pictures must have."""
        return self._shape

    def find(self, picture: Picture) -> Map:
        """Return the map from a picture of `shape` to the reference."""
        small = _small(picture)
        found = self._shift(small.values)
        if self._kind == "affine":
            found = self._affine(small.values, self._best(small.values, (found, IDENTITY, self._by_features(small))))
        near = _correlation(small.values, self._reference.values, found)
        if not near >= _NEAREST:
            raise PictureError(
                f"a picture does not match the reference {self._name!r} (correlation {max(near, 0.0):.2f})",
                "Is the part there, lit, and where it was?",
            )
        self._check_plausible(found)
        found[:, 2] /= small.scale
        return found

    def _shift(self, values: NDArray[np.float32]) -> Map:
        """Return the peak of the phase correlation, to a fraction of a pixel."""
        product = cv2.mulSpectrums(self._spectrum, self._transform(values), 0, conjB=True)
        strength = cv2.magnitude(product[..., 0], product[..., 1])
        # What is weaker than this is noise, which must not weigh as much as what is there.
        product = product / (strength + 1e-3 * float(strength.mean()) + 1e-12)[..., np.newaxis]
        surface = cv2.idft(product, flags=cv2.DFT_SCALE | cv2.DFT_REAL_OUTPUT)
        _, _, _, (x, y) = cv2.minMaxLoc(surface)
        height, width = surface.shape
        around = np.arange(-_PEAK_PX, _PEAK_PX + 1)
        peak = np.clip(surface[np.ix_((y + around) % height, (x + around) % width)], 0, None)
        # Nothing at all is correlated with nothing; what is found then is refused for it.
        total = float(peak.sum()) or 1.0
        dx = x + float((peak.sum(axis=0) * around).sum()) / total
        dy = y + float((peak.sum(axis=1) * around).sum()) / total
        found = IDENTITY.copy()
        found[:, 2] = (dx - width if dx > width / 2 else dx, dy - height if dy > height / 2 else dy)
        return found

    def _transform(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        height, width = values.shape
        rest = (0, self._size[0] - height, 0, self._size[1] - width)
        padded = cv2.copyMakeBorder(values * self._window, *rest, cv2.BORDER_CONSTANT, value=0)
        return np.asarray(cv2.dft(padded, flags=cv2.DFT_COMPLEX_OUTPUT), dtype=np.float32)

    def _by_features(self, small: _Small) -> Map | None:
        """Return the map that most of the corners agree on, if many do; turned pictures have no one shift."""
        points, descriptors = _corners(small.values)
        known_points, known = self._corners
        if descriptors is None or known is None:
            return None
        pairs = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(descriptors, known)
        if len(pairs) < _FEWEST_PAIRS:
            return None
        moving = points[[pair.queryIdx for pair in pairs]]
        fixed = known_points[[pair.trainIdx for pair in pairs]]
        found, _ = cv2.estimateAffinePartial2D(moving, fixed, method=cv2.RANSAC, ransacReprojThreshold=3.0)
        return None if found is None else np.asarray(found, dtype=np.float64)

    def _best(self, values: NDArray[np.float32], starts: Sequence[Map | None]) -> Map:
        """Return the one that the highest correlation begins with."""
        known = [start for start in starts if start is not None]
        return max(known, key=lambda start: _correlation(values, self._reference.values, start)).copy()

    def _affine(self, values: NDArray[np.float32], start: Map) -> Map:
        """Return the map of the highest correlation near `start`, first in a picture of a quarter of the size."""
        # OpenCV asks for the other direction, from the reference to the picture.
        found = cv2.invertAffineTransform(start).astype(np.float32)
        try:
            for scale in (1 / _COARSE, 1.0) if min(values.shape) >= _COARSE * _SMALLEST_PX else (1.0,):
                fixed, moving = (_scaled(one, scale) for one in (self._reference.values, values))
                found[:, 2] *= scale
                _, better = cv2.findTransformECC(fixed, moving, found, cv2.MOTION_AFFINE, _STEPS)
                found = np.array(better, dtype=np.float32)
                found[:, 2] /= scale
        except cv2.error:
            raise PictureError(
                f"a picture cannot be aligned with the reference {self._name!r}", "Is the part there, and in focus?"
            ) from None
        return np.asarray(cv2.invertAffineTransform(found), dtype=np.float64)

    def _check_plausible(self, found: Map) -> None:
        height, width = self._reference.values.shape
        centre = np.array([width / 2, height / 2])
        moved = np.abs(found[:, :2] @ centre + found[:, 2] - centre) / (width, height)
        stretch = np.abs(found[:, :2] - np.eye(2)).max()
        if moved.max() > _FARTHEST or stretch > _MOST_STRETCH:
            raise PictureError(
                f"a picture lies {100 * moved.max():.0f} % of its size off the reference {self._name!r}"
                f" and is stretched or turned by {100 * stretch:.0f} %",
                "Set the camera right, or take another reference picture.",
            )


def _small(picture: Picture) -> _Small:
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) if picture.ndim == _COLOUR_AXES else picture
    scale = min(1.0, _SIDE_PX / max(grey.shape))
    values = _scaled(grey, scale).astype(np.float32)
    return _Small(np.asarray(values - values.mean(), dtype=np.float32), scale)


def _corners(values: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.uint8] | None]:
    """Return corners (n, 2) in pixels and their descriptors, None for none."""
    # A detector is no larger than what it finds, and not to be shared between threads.
    grey = cv2.normalize(values, np.empty(values.shape, np.uint8), 0, 255, cv2.NORM_MINMAX, cv2.CV_8U)
    points, descriptors = cv2.ORB.create(_CORNERS).detectAndCompute(grey, None)
    places = np.array([point.pt for point in points], dtype=np.float32).reshape(-1, 2)
    # OpenCV's types do not say that there may be none.
    return places, None if not points else np.asarray(descriptors, dtype=np.uint8)


def _scaled(values: NDArray[_Real], scale: float) -> NDArray[_Real]:
    if scale >= 1:
        return values
    return np.asarray(cv2.resize(values, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))


def _correlation(picture: NDArray[np.float32], reference: NDArray[np.float32], found: Map) -> float:
    """Return the correlation, -1 to 1, of a mapped picture and the reference where both are known; 0 if nowhere."""
    size = (reference.shape[1], reference.shape[0])
    mapped = cv2.warpAffine(picture, found, size, flags=cv2.INTER_LINEAR)
    known = cv2.warpAffine(np.ones_like(picture), found, size, flags=cv2.INTER_NEAREST) > 0
    if known.mean() < _FARTHEST:
        return 0.0
    one, other = mapped[known], reference[known]
    one, other = one - one.mean(), other - other.mean()
    norm = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / norm if norm > 0 else 0.0
