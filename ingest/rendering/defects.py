"""The defects, each a generator that takes a good part and returns the part of its surface that it changes.

A generator is pure: it draws from the given random numbers, with a severity from 0 (seen by an attentive inspector)
to 1 (seen by anyone). Lengths are in units of the design (one pixel of a 640x480 frame).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ingest.rendering.box import Box
from ingest.rendering.geometry import HOLE_CENTRES, SPOT_FACE_RADIUS, Grid, step
from ingest.rendering.part import Surface
from ingest.rendering.texture import octave, octaves, slopes

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STROKE_OVERSAMPLING = 4
_CANDIDATES = 24
_SATURATING_RADIANCE = 0.42


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """What a defect puts in place of a box of the good part: its surface has the shape of the box."""

    box: Box
    surface: Surface


@dataclass(frozen=True, slots=True, eq=False)
class Workpiece:
    """A good part about to be spoilt.

    `light` is the gain of a slope to the right and of one downwards; `face` is (H, W) bool, true where a defect of the
    face may lie; `rim_px` and `crack_starts_px` are (N, 2) x, y pixels on the outline and on every edge of the metal.
    `undrilled` gives the same part, under the same light, without its bolt holes.
    """

    grid: Grid
    surface: Surface
    light: tuple[float, float]
    face: NDArray[np.bool_]
    rim_px: NDArray[np.float64]
    crack_starts_px: NDArray[np.float64]
    undrilled: Callable[[], Surface]

    def within(self, box: Box) -> Surface:
        """Return a box of the good part."""
        return self.surface.within(box)


Generator = Callable[[Workpiece, np.random.Generator, float], Patch]


def scratch(piece: Workpiece, rng: np.random.Generator, severity: float) -> Patch:
    """Score a thin curved line: a bright or dark groove with one edge of the other tone."""
    unit_px = piece.grid.unit_px
    path = _path_on_face(piece, rng, length=float(rng.uniform(66.0, 100.0)) + 70.0 * severity, bend=1.1, jag=0.0)
    width = 2.6 + 1.2 * severity
    box = Box.around(path, 5.0 * unit_px, piece.face.shape)
    good = piece.within(box)
    groove = _stroke(path, box, width * unit_px, rng, taper=0.35)
    edge = _stroke(path + np.array([0.8, 0.9]) * width * unit_px, box, 0.6 * width * unit_px, rng, taper=0.35)
    under = float((good.radiance * groove).sum() / max(float(groove.sum()), 1e-6))
    bright = under < _SATURATING_RADIANCE and bool(rng.random() < 0.6)  # noqa: PLR2004 - a share
    core = 1.85 + 0.7 * severity if bright else 0.38 - 0.18 * severity
    rim = 0.72 if bright else 1.25
    gain = 1.0 + groove * np.float32(core - 1.0)
    gain *= 1.0 + np.clip(edge - groove, 0.0, 1.0) * np.float32(rim - 1.0)
    return _with_gain(box, replace(good, warmth=good.warmth - good.warmth * groove), gain)


def dent(piece: Workpiece, rng: np.random.Generator, severity: float) -> Patch:
    """Press a hollow, or raise a bump: shaded by the same light as the part, with a scuffed floor."""
    unit_px = piece.grid.unit_px
    centre = _spot_on_face(piece, rng)
    radius = float(rng.uniform(11.0, 15.0)) + 9.0 * severity
    box = Box.around(centre[None], 2.1 * radius * unit_px, piece.face.shape)
    good = piece.within(box)
    distance = _oval_distance(box, centre, radius * unit_px, rng)
    distance += np.float32(0.10) * octave(rng, box.shape, 0.35 * radius * unit_px)
    depth = (0.44 + 0.30 * severity) * radius * unit_px * (1.0 if rng.random() < 0.75 else -0.8)  # noqa: PLR2004 - a share
    right, down = slopes((-depth * step(distance, 1.25, 0.35)).astype(np.float32))
    light_x, light_y = piece.light
    gain = 1.0 - 2.4 * (right * np.float32(light_x) + down * np.float32(light_y))
    gain *= 1.0 - (0.14 + 0.12 * severity) * step(distance, 1.0, 0.3)
    gain = 1.0 + (np.clip(gain, 0.30, 2.1) - 1.0) * good.cover
    return _with_gain(box, good, gain)


def stain(piece: Workpiece, rng: np.random.Generator, severity: float) -> Patch:
    """Spill oil: an irregular brown darkening with a darker border and a few drops beside it."""
    unit_px = piece.grid.unit_px
    centre = _spot_on_face(piece, rng)
    radius = float(rng.uniform(20.0, 28.0)) + 18.0 * severity
    box = Box.around(centre[None], 2.2 * radius * unit_px, piece.face.shape)
    good = piece.within(box)
    distance = _oval_distance(box, centre, radius * unit_px, rng)
    distance += octaves(rng, box.shape, {0.5 * radius * unit_px: 0.26, 0.15 * radius * unit_px: 0.07})
    for _ in range(int(rng.integers(1, 4))):
        away = rng.normal(0.0, 1.0, 2)
        drop = centre + away / np.hypot(*away) * radius * unit_px * rng.uniform(1.25, 1.6)
        distance = np.minimum(distance, _oval_distance(box, drop, rng.uniform(2.5, 5.0) * unit_px, rng))
    film = step(distance, 1.12, 0.80) * good.cover
    border = film * step(distance, 0.62, 0.92)
    thickness = 1.0 + 0.30 * octave(rng, box.shape, 0.4 * radius * unit_px)
    gain = 1.0 - film * thickness * np.float32(0.36 + 0.26 * severity) - border * np.float32(0.10)
    brown = film * thickness * np.float32(rng.uniform(0.12, 0.34) + 0.1 * severity)
    spilt = replace(good, warmth=(good.warmth + brown).astype(np.float32))
    return _with_gain(box, spilt, np.maximum(gain, 0.22))


def missing_hole(piece: Workpiece, rng: np.random.Generator, severity: float) -> Patch:
    """Leave out a bolt hole: the face was cut, and at best the drill's point has touched it."""
    unit_px = piece.grid.unit_px
    centre = np.array(piece.grid.to_px(*HOLE_CENTRES[int(rng.integers(len(HOLE_CENTRES)))]))
    box = Box.around(centre[None], (SPOT_FACE_RADIUS - 2.0) * unit_px, piece.face.shape)
    solid = piece.undrilled().within(box)
    y, x = _pixels(box, centre)
    dimple = float(rng.uniform(2.0, 4.0)) + 4.5 * (1.0 - severity)
    distance = np.asarray(np.hypot(x, y), dtype=np.float32)
    light_x, light_y = piece.light
    lean = (x * np.float32(light_x) + y * np.float32(light_y)) / np.maximum(distance, 1.0)
    gain = 1.0 + step(distance, 1.1 * dimple * unit_px, 0.9 * dimple * unit_px) * (-0.25 - 0.75 * lean)
    return _with_gain(box, solid, np.clip(gain, 0.2, 2.0))


def chip(piece: Workpiece, rng: np.random.Generator, severity: float) -> Patch:
    """Break a bite off the outline: belt where metal was, and a rough facet along the break."""
    unit_px = piece.grid.unit_px
    centre = piece.rim_px[int(rng.integers(len(piece.rim_px)))]
    radius = float(rng.uniform(10.0, 13.0)) + 10.0 * severity
    box = Box.around(centre[None], 2.2 * radius * unit_px, piece.face.shape)
    good = piece.within(box)
    distance = _oval_distance(box, centre, radius * unit_px, rng)
    distance += octaves(rng, box.shape, {0.35 * radius * unit_px: 0.13, 2.0 * unit_px: 0.03})
    bite = np.clip(0.5 - (distance - 1.0) * np.float32(radius * unit_px), 0.0, 1.0)
    facet = step(distance, 1.0 + 7.0 / radius, 1.0 + 3.0 / radius) * (1.0 - bite)
    right, down = slopes(octaves(rng, box.shape, {0.9 * unit_px: 0.35 * unit_px, 2.2 * unit_px: 0.8 * unit_px}))
    light_x, light_y = piece.light
    rough = 1.40 - 1.8 * (right * np.float32(light_x) + down * np.float32(light_y))
    gain = 1.0 + facet * (np.clip(rough, 0.4, 2.2) - 1.0)
    # Where the metal is gone, light reaches the belt as it does along the rest of the rim.
    shadow = good.shadow * (1.0 - 0.45 * step(distance, 1.1, 0.4))
    return _with_gain(box, replace(good, cover=good.cover * (1.0 - bite), shadow=shadow), gain)


def crack(piece: Workpiece, rng: np.random.Generator, severity: float) -> Patch:
    """Open a dark, jagged line from an edge of the metal into it, with a short branch."""
    unit_px = piece.grid.unit_px
    length = float(rng.uniform(62.0, 85.0)) + 40.0 * severity
    path = _path_on_face(piece, rng, length=length, bend=0.7, jag=1.0, starts_px=piece.crack_starts_px)
    fork = len(path) // 2
    turn = float(rng.choice([-1.0, 1.0]) * rng.uniform(0.5, 0.8))
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    branch = path[fork] + (path[fork : fork + len(path) // 3] - path[fork]) @ rotation
    box = Box.around(np.concatenate([path, branch]), 5.0 * unit_px, piece.face.shape)
    good = piece.within(box)
    width = 1.9 + 0.9 * severity
    gap = _stroke(path, box, width * unit_px, rng, taper=0.6)
    gap = np.maximum(gap, _stroke(branch, box, 0.7 * width * unit_px, rng, taper=0.6)) * good.cover
    lip = _stroke(path + 0.8 * width * unit_px, box, 0.7 * width * unit_px, rng, taper=0.6) * good.cover
    gain = 1.0 + np.clip(lip - gap, 0.0, 1.0) * np.float32(0.25)
    gain *= 1.0 - gap * np.float32(0.72 + 0.18 * severity)
    return _with_gain(box, good, gain)


GENERATORS: dict[str, Generator] = {
    "scratch": scratch,
    "dent": dent,
    "stain": stain,
    "missing_hole": missing_hole,
    "chip": chip,
    "crack": crack,
}
DEFECT_NAMES: tuple[str, ...] = tuple(GENERATORS)
# The defects that are lines: only the narrowest gaps of their masks are closed.
LINE_DEFECTS = frozenset({"scratch", "crack"})


def _with_gain(box: Box, good: Surface, gain: NDArray[np.floating]) -> Patch:
    """Return the surface with its radiance multiplied, and nothing else changed."""
    return Patch(box, replace(good, radiance=(good.radiance * gain).astype(np.float32)))


def _pixels(box: Box, centre_px: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return y and x of every pixel of a box relative to a point, (H, W) each."""
    y, x = np.mgrid[box.top_px : box.bottom_px, box.left_px : box.right_px].astype(np.float32)
    return y - np.float32(centre_px[1]), x - np.float32(centre_px[0])


def _oval_distance(
    box: Box, centre_px: NDArray[np.float64], radius_px: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return every pixel's distance from a drawn oval's centre, with 1 on its border."""
    y, x = _pixels(box, centre_px)
    angle, stretch = rng.uniform(0.0, np.pi), rng.uniform(1.0, 1.3)
    along = (x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))) / np.float32(stretch * radius_px)
    across = (y * np.float32(np.cos(angle)) - x * np.float32(np.sin(angle))) / np.float32(radius_px / stretch)
    return np.hypot(along, across)


def _spot_on_face(piece: Workpiece, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw the x, y of a pixel of the face."""
    places = np.flatnonzero(piece.face)
    row, column = divmod(int(places[int(rng.integers(places.size))]), piece.face.shape[1])
    return np.array([column, row], dtype=np.float64)


def _path_on_face(
    piece: Workpiece,
    rng: np.random.Generator,
    *,
    length: float,
    bend: float,
    jag: float,
    starts_px: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Return the (N, 2) x, y points of a drawn curve: of several candidates, the one that lies most on the face."""
    unit_px, count = piece.grid.unit_px, max(12, int(length / 4.0))
    best, best_share = np.zeros((count, 2)), -1.0
    for _ in range(_CANDIDATES):
        start = _spot_on_face(piece, rng) if starts_px is None else starts_px[int(rng.integers(len(starts_px)))]
        heading = rng.uniform(0.0, 2.0 * np.pi) + rng.uniform(-bend, bend) * np.linspace(0.0, 1.0, count)
        heading += rng.normal(0.0, 0.25 * jag, count)
        stride_px = length * unit_px / (count - 1)
        steps = np.stack([np.cos(heading), np.sin(heading)], axis=1) * stride_px
        path = start + np.cumsum(steps, axis=0) - steps[0]
        column = np.clip(path[:, 0].round().astype(int), 0, piece.face.shape[1] - 1)
        row = np.clip(path[:, 1].round().astype(int), 0, piece.face.shape[0] - 1)
        share = float(piece.face[row, column].mean())
        if share > best_share:
            best, best_share = path, share
        if share > 0.97:  # noqa: PLR2004 - as good as all of it
            break
    return best


def _stroke(
    path_px: NDArray[np.float64], box: Box, width_px: float, rng: np.random.Generator, *, taper: float
) -> NDArray[np.float32]:
    """Return how much of each pixel of a box a line covers, 0 to 1; its width wavers and tapers to both ends."""
    fine = _STROKE_OVERSAMPLING
    height_px, box_width_px = box.shape
    canvas = np.zeros((height_px * fine, box_width_px * fine), dtype=np.uint8)
    points = np.rint((path_px - [box.left_px, box.top_px] + 0.5) * fine).astype(int)
    place = np.linspace(0.0, 1.0, len(points))
    widths = 1.0 - taper * (2.0 * place - 1.0) ** 4 + rng.uniform(-0.12, 0.12, len(points))
    for start, end, width in zip(points[:-1], points[1:], widths[:-1], strict=True):
        thickness = max(1, round(float(width) * width_px * fine))
        cv2.line(canvas, (int(start[0]), int(start[1])), (int(end[0]), int(end[1])), 255, thickness)
    covered = cv2.resize(canvas, (box_width_px, height_px), interpolation=cv2.INTER_AREA)
    return np.asarray(covered, dtype=np.float32) / np.float32(255.0)
