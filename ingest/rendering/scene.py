"""Everything around the part: the belt, the pose, the balance of the light, the lens and the sensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ingest.rendering.box import Box
from ingest.rendering.texture import Pool, blurred, octave, octaves

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ingest.rendering.part import Surface

# The sensor's response is a square root, near the usual gamma: shot noise has the same size at every grey level there.
_FULL_SCALE = 255.0
# How red, green and blue follow the warmth of a surface.
_WARMTH_TO_RGB = (0.30, 0.02, -0.42)
_BELT_WARMTH = -0.22
_BELT_RADIANCE = 0.046
# Light that the lens scatters over the whole frame: no pixel is quite black.
_LENS_FLARE = 0.0025
_POOL_SLACK = 256


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """What differs from one exposure to the next, but for the part itself."""

    shift_px: tuple[float, float]
    turn_deg: float
    lamp_weights: NDArray[np.float32]
    exposure: float
    falloff: tuple[float, float]
    white_balance: tuple[float, float, float]
    defocus_px: float
    shadow: float
    shot_noise: float
    belt: NDArray[np.float32]
    noise: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """The static side of a camera station; `lens` is (H, W): vignetting and the pixels' unequal sensitivity."""

    unit_px: float
    shape: tuple[int, int]
    lens: NDArray[np.float32]
    across: NDArray[np.float32]
    down: NDArray[np.float32]
    belt: Pool
    noise: Pool

    @classmethod
    def build(cls, rng: np.random.Generator, shape: tuple[int, int], unit_px: float) -> Scene:
        """Return a station whose frames are `shape` (H, W)."""
        height_px, width_px = shape
        down = np.linspace(-1.0, 1.0, height_px, dtype=np.float32)[:, None]
        across = np.linspace(-1.0, 1.0, width_px, dtype=np.float32)[None, :]
        vignette = 1.0 - 0.13 * (across**2 + down**2) - 0.04 * (across**2 + down**2) ** 2
        uneven = 1.0 + 0.006 * rng.standard_normal(shape, dtype=np.float32)
        return cls(
            unit_px=unit_px,
            shape=shape,
            lens=np.asarray(vignette * uneven, dtype=np.float32),
            across=across,
            down=down,
            belt=_belt_pool(rng, pool_shape(shape, unit_px), unit_px),
            noise=_noise_pool(rng, pool_shape(shape, unit_px)),
        )

    def draw(self, rng: np.random.Generator) -> Shot:
        """Draw one exposure of a good station: nothing here is a defect."""
        lamps = np.array([1.15, 0.55, 0.28, 0.62]) * rng.uniform(0.85, 1.15, 4)
        warm = rng.normal(0.0, 0.012)
        return Shot(
            shift_px=(_jitter(rng, 4.0, 10.0) * self.unit_px, _jitter(rng, 3.0, 8.0) * self.unit_px),
            turn_deg=_jitter(rng, 1.6, 4.5),
            lamp_weights=lamps.astype(np.float32),
            exposure=float(rng.uniform(0.90, 1.10)),
            falloff=(float(rng.uniform(-0.08, 0.08)), float(rng.uniform(-0.08, 0.08))),
            white_balance=(1.0 + warm, 1.0 + float(rng.normal(0.0, 0.004)), 1.0 - warm),
            defocus_px=float(rng.uniform(0.45, 0.80)) * max(self.unit_px, 0.5) ** 0.5,
            shadow=float(rng.uniform(0.80, 1.0)),
            shot_noise=float(rng.uniform(1.5, 2.3)),
            belt=self.belt.cut(rng, self.shape)[0],
            noise=self.noise.cut(rng, self.shape),
        )

    def develop(self, surface: Surface, shot: Shot, box: Box) -> NDArray[np.float32]:
        """Return a box of the noise-free picture of a part on the belt: (3, H, W) float32, 0 to 255 and some beyond."""
        rows, columns = box.window()
        radiance = shot.belt[rows, columns].copy()
        warmth = np.full(box.shape, _BELT_WARMTH, dtype=np.float32)
        self._lay(surface, shot, box, radiance, warmth)
        light = self.across[:, columns] * np.float32(shot.falloff[0]) + np.float32(1.0)
        light = light + self.down[rows] * np.float32(shot.falloff[1])
        light *= np.float32(shot.exposure)
        light *= self.lens[rows, columns]
        radiance *= light
        level = np.asarray(cv2.GaussianBlur(radiance, (0, 0), shot.defocus_px), dtype=np.float32)
        level += np.float32(_LENS_FLARE)
        np.sqrt(level, out=level)
        level *= np.float32(_FULL_SCALE)
        picture = np.empty((3, *box.shape), dtype=np.float32)
        for plane, follows, gain in zip(picture, _WARMTH_TO_RGB, shot.white_balance, strict=True):
            np.multiply(warmth, np.float32(follows * gain), out=plane)
            np.add(plane, np.float32(gain), out=plane)
            np.multiply(plane, level, out=plane)
        return picture

    def box_of(self, part_box: Box, canvas: tuple[int, int], shot: Shot) -> Box:
        """Return the box of the frame in which a box of the part's canvas (H, W) lies, with what the lens spreads."""
        corners = np.hstack([part_box.corners_px, np.ones((4, 1))]) @ self._pose(canvas, shot).T
        return Box.around(corners, 4.0 * shot.defocus_px + 3.0, self.shape)

    def expose(self, picture: NDArray[np.float32], shot: Shot) -> NDArray[np.uint8]:
        """Return what the sensor makes of a noise-free picture: (H, W, 3) uint8 RGB."""
        # Read noise is constant in linear light, so that under the square root it is largest in the dark.
        sigma = picture[1] + np.float32(6.0)
        np.divide(np.float32(26.0), sigma, out=sigma)
        sigma += np.float32(shot.shot_noise)
        planes = []
        for plane, noise in zip(picture, shot.noise, strict=True):
            noisy = noise * sigma
            noisy += plane
            planes.append(np.clip(noisy, 0.0, _FULL_SCALE, out=noisy).astype(np.uint8))
        return np.asarray(cv2.merge(planes), dtype=np.uint8)

    def _pose(self, canvas: tuple[int, int], shot: Shot) -> NDArray[np.float64]:
        """Return the 2x3 matrix that takes a point of the part's canvas (H, W) to the frame."""
        middle_x, middle_y = (canvas[1] - 1) / 2, (canvas[0] - 1) / 2
        pose = np.asarray(cv2.getRotationMatrix2D((middle_x, middle_y), shot.turn_deg, 1.0), dtype=np.float64)
        pose[0, 2] += (self.shape[1] - 1) / 2 - middle_x + shot.shift_px[0]
        pose[1, 2] += (self.shape[0] - 1) / 2 - middle_y + shot.shift_px[1]
        return pose

    def _lay(
        self, surface: Surface, shot: Shot, box: Box, radiance: NDArray[np.float32], warmth: NDArray[np.float32]
    ) -> None:
        """Lay the part and its shadow on a box's `radiance` and `warmth`, in place and only where the part lies."""
        pose = self._pose(surface.cover.shape, shot)
        area = Box.around(_resting(surface.cover.shape, pose), 0.0, self.shape).common(box)
        pose[:, 2] -= (area.left_px, area.top_px)
        window = area.seen_from(box).window()
        cover = _moved(surface.cover, pose, area)
        under = _moved(surface.shadow, pose, area)
        under *= np.float32(-shot.shadow)
        under += 1.0
        under *= radiance[window]
        part = _moved(surface.radiance, pose, area)
        part -= under
        part *= cover
        np.add(part, under, out=radiance[window])
        colour = _moved(surface.warmth, pose, area)
        colour -= np.float32(_BELT_WARMTH)
        colour *= cover
        warmth[window] += colour


def _resting(canvas: tuple[int, int], pose: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the corners of the canvas moved, not turned: its margins hold what turns out of it."""
    middle = pose @ np.array([(canvas[1] - 1) / 2, (canvas[0] - 1) / 2, 1.0])
    half = np.array([canvas[1] / 2, canvas[0] / 2])
    return np.stack([middle - half, middle + half])


def _moved(plane: NDArray[np.float32], pose: NDArray[np.float64], area: Box) -> NDArray[np.float32]:
    """Return a plane of the part's canvas in its pose, cut to an area of the frame."""
    return np.asarray(cv2.warpAffine(plane, pose, area.shape[::-1], flags=cv2.INTER_LINEAR), dtype=np.float32)


def _jitter(rng: np.random.Generator, deviation: float, limit: float) -> float:
    """Draw a normal deviate that never goes beyond the limit."""
    return float(np.clip(rng.normal(0.0, deviation), -limit, limit))


def pool_shape(shape: tuple[int, int], unit_px: float) -> tuple[int, int]:
    """Return the (H, W) of a pool with enough slack that two parts hardly ever share a texture."""
    slack_px = int(_POOL_SLACK * max(unit_px, 0.5))
    return shape[0] + slack_px, shape[1] + slack_px


def _belt_pool(rng: np.random.Generator, shape: tuple[int, int], unit_px: float) -> Pool:
    """Return dark rubber with a woven impression, wear along the way of travel, and dust."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32) / np.float32(unit_px)
    wander = octave(rng, shape, 14.0 * unit_px) * np.float32(0.5)
    weave = np.sin((x + y) * 0.62 + wander) * np.sin((x - y) * 0.62 - wander)
    skin = octaves(rng, shape, {0.8 * unit_px: 0.16, 2.2 * unit_px: 0.12, 12.0 * unit_px: 0.10, 60.0 * unit_px: 0.14})
    wear = cv2.GaussianBlur(rng.standard_normal((shape[0], 1), dtype=np.float32), (1, 0), 0, sigmaY=2.0 * unit_px)
    streaks = np.asarray(wear) / np.std(wear) * (0.6 + 0.4 * octave(rng, shape, 45.0 * unit_px))
    dust = np.maximum(octave(rng, shape, 0.9 * unit_px) - 3.4, 0.0)
    tone = 1.0 + 0.16 * weave + skin + 0.07 * streaks + 2.5 * dust
    return Pool((np.clip(tone, 0.25, 4.0) * _BELT_RADIANCE).astype(np.float32)[None])


def _noise_pool(rng: np.random.Generator, shape: tuple[int, int]) -> Pool:
    """Return unit noise for three colours; a colour filter's interpolation makes neighbours slightly alike."""
    planes = [blurred(rng.standard_normal(shape, dtype=np.float32), 0.45) for _ in range(3)]
    return Pool(np.stack([plane / plane.std() for plane in planes]))
