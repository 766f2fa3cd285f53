"""The good part's material: what each lamp of the ring light makes of it, made once for a conveyor.

Light adds up, so a part under any balance of the lamps is a weighted sum of these pictures: that is what makes the
light of every part different at the cost of four multiplications.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ingest.rendering.geometry import HUB_FACE_RADIUS, Geometry, Grid, build_geometry, step
from ingest.rendering.texture import Pool, blurred, octaves, slopes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ingest.rendering.box import Box

LAMP_AZIMUTHS_DEG = (-118.0, -22.0, 67.0, 161.0)
_LAMP_ELEVATION_DEG = 48.0
_CAST_ALBEDO = 0.105
_TURNED_ALBEDO = 0.075
_AMBIENT = 0.40
_SHADOW_REACH = 16
_GROOVES_PER_UNIT = 3.0
_GROOVE_COUNT = int(HUB_FACE_RADIUS * _GROOVES_PER_UNIT) + 8


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """A part as it would be photographed from straight above, in its resting pose; every array is (H, W) float32.

    `radiance` is linear light (1 saturates the sensor at nominal exposure), `warmth` the colour from -1 (blue) over
    0 (grey) to 1 (brown), `cover` 1 where the part hides the belt, and `shadow` the share of the light, 0 to 1, that
    the part takes from the belt below it and beside it.
    """

    radiance: NDArray[np.float32]
    warmth: NDArray[np.float32]
    cover: NDArray[np.float32]
    shadow: NDArray[np.float32]

    def within(self, box: Box) -> Surface:
        """Return views of a box of the surface."""
        window = box.window()
        return Surface(self.radiance[window], self.warmth[window], self.cover[window], self.shadow[window])

    def patched(self, box: Box, patch: Surface) -> Surface:
        """Return a copy of the surface with another one in place of a box."""
        pairs = (
            (self.radiance, patch.radiance),
            (self.warmth, patch.warmth),
            (self.cover, patch.cover),
            (self.shadow, patch.shadow),
        )
        planes = [whole.copy() for whole, _ in pairs]
        for plane, (_, part) in zip(planes, pairs, strict=True):
            plane[box.window()] = part
        return Surface(*planes)


@dataclass(frozen=True, slots=True, eq=False)
class PartTemplate:
    """The static pictures of the part: `lamps` is (4, H, W), its radiance under each lamp alone."""

    geometry: Geometry
    lamps: NDArray[np.float32]
    warmth: NDArray[np.float32]
    grain_gain: NDArray[np.float32]
    groove_index: NDArray[np.uint16]
    shadow: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Finish:
    """What differs from part to part in the metal itself.

    `grain` is (3, H, W): the slopes of the cast skin to the right and down, and its tone. `grooves` is the gain of each
    turning groove, and the last of them (1.0) stands for every pixel that was not turned.
    """

    grain: NDArray[np.float32]
    grooves: NDArray[np.float32]


def lamp_directions() -> NDArray[np.float32]:
    """Return (4, 3): the unit vector towards each lamp; x to the right, y down, z to the camera."""
    azimuth = np.deg2rad(np.asarray(LAMP_AZIMUTHS_DEG))
    elevation = np.deg2rad(_LAMP_ELEVATION_DEG)
    flat = np.cos(elevation)
    z = np.full_like(azimuth, np.sin(elevation))
    return np.stack([np.cos(azimuth) * flat, np.sin(azimuth) * flat, z], axis=1).astype(np.float32)


def build_template(grid: Grid, *, drilled: bool = True) -> PartTemplate:
    """Return the part's static pictures; with `drilled` false its bolt holes are missing."""
    geometry = build_geometry(grid, drilled=drilled)
    right, down = slopes(geometry.height_px)
    lamps = [_under_lamp(geometry, right, down, lamp) for lamp in lamp_directions()]
    turn_radius = np.hypot(geometry.turn_x, geometry.turn_y)
    groove = np.minimum(turn_radius * _GROOVES_PER_UNIT, _GROOVE_COUNT - 2).astype(np.uint16)
    return PartTemplate(
        geometry=geometry,
        lamps=np.stack(lamps),
        warmth=0.05 - 0.09 * geometry.turned,
        grain_gain=(1.0 - 0.86 * geometry.turned) * (1.0 - 0.6 * geometry.wall),
        groove_index=np.where(geometry.turned > 0.5, groove, np.uint16(_GROOVE_COUNT - 1)).astype(np.uint16),  # noqa: PLR2004 - half covered
        shadow=_belt_shadow(grid, geometry),
    )


def build_grain_pool(rng: np.random.Generator, shape: tuple[int, int], unit_px: float) -> Pool:
    """Return the pool of cast skin: its slopes to the right and down, and the mottling of its tone."""
    fine, medium, coarse = 0.75 * unit_px, 1.7 * unit_px, 4.5 * unit_px
    skin = octaves(rng, shape, {fine: 0.10 * unit_px, medium: 0.17 * unit_px, coarse: 0.28 * unit_px})
    right, down = slopes(skin)
    tone = octaves(rng, shape, {0.8 * unit_px: 0.035, 9.0 * unit_px: 0.035, 40.0 * unit_px: 0.045})
    return Pool(np.stack([right, down, tone]))


def draw_grooves(rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the gain of each turning groove of one part, around 1."""
    fine = rng.standard_normal(_GROOVE_COUNT)
    passes = np.convolve(rng.standard_normal(_GROOVE_COUNT + 8), np.ones(9) / 3.0, mode="valid")
    gain = np.clip(1.0 + 0.07 * fine + 0.05 * passes, 0.6, 1.5).astype(np.float32)
    gain[-1] = 1.0
    return gain


def net_slope_light(lamp_weights: NDArray[np.float32]) -> tuple[float, float]:
    """Return how much brighter a slope facing right, and one facing down, gets for each unit of slope."""
    lamps = lamp_directions()
    net = lamp_weights @ (lamps[:, :2] / lamps[:, 2:]) / lamp_weights.sum()
    return float(net[0]), float(net[1])


def light_part(template: PartTemplate, lamp_weights: NDArray[np.float32], finish: Finish) -> Surface:
    """Return the part with this finish under this balance of the lamps."""
    radiance = template.lamps[0] * lamp_weights[0]
    for lamp, weight in zip(template.lamps[1:], lamp_weights[1:], strict=True):
        radiance += lamp * weight
    light_x, light_y = net_slope_light(lamp_weights)
    skin_x, skin_y, tone = finish.grain
    relief = skin_x * np.float32(-2.0 * light_x)
    relief += skin_y * np.float32(-2.0 * light_y)
    relief += tone
    relief *= template.grain_gain
    relief += 1.0
    np.maximum(relief, 0.25, out=relief)
    radiance *= relief
    radiance *= np.take(finish.grooves, template.groove_index)
    return Surface(radiance, template.warmth, template.geometry.cover, template.shadow)


def _under_lamp(
    geometry: Geometry, right: NDArray[np.float32], down: NDArray[np.float32], lamp: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the part's radiance under one lamp: ambient, diffuse and specular light, less the shadows it casts."""
    to_x, to_y, to_z = (float(part) for part in lamp)
    norm = 1.0 / np.sqrt(1.0 + right * right + down * down)
    facing = np.clip((to_z - right * to_x - down * to_y) * norm, 0.0, None)
    half_x, half_y, half_z = to_x, to_y, to_z + 1.0
    half_length = float(np.sqrt(half_x**2 + half_y**2 + half_z**2))
    mirror = np.clip((half_z - right * half_x - down * half_y) * norm / half_length, 0.0, 1.0)
    occlusion = np.clip(
        1.0 + (geometry.height_px - blurred(geometry.height_px, 7.0 * geometry.unit_px)) * 0.05, 0.45, 1.1
    )
    lit = 1.0 - 0.75 * _cast_shadow(geometry, to_x, to_y, to_z)
    turn_length = np.maximum(np.hypot(geometry.turn_x, geometry.turn_y), 1e-3)
    along = (-geometry.turn_y * half_x + geometry.turn_x * half_y) / turn_length / half_length
    fan = np.exp(-52.0 * along * along) * np.clip(norm * 1.25 - 0.25, 0.0, 1.0)
    cast = _CAST_ALBEDO * (_AMBIENT * occlusion + facing / to_z * lit) + (0.06 * mirror**16 + 0.35 * mirror**60) * lit
    face = _TURNED_ALBEDO * (_AMBIENT + facing / to_z * lit) + (0.30 * fan + 0.8 * mirror**90 + 0.05 * mirror**6) * lit
    metal = cast + geometry.turned * (face - cast)
    metal *= 1.0 - 0.55 * geometry.etched
    away = step(geometry.turn_x * to_x + geometry.turn_y * to_y, 20.0, -20.0)
    wall = 0.02 + 0.10 * away
    return np.asarray(metal + geometry.wall * (wall - metal), dtype=np.float32)


def _cast_shadow(geometry: Geometry, to_x: float, to_y: float, to_z: float) -> NDArray[np.float32]:
    """Return 1 where the relief stands between a pixel and the lamp, with a soft edge."""
    height_px = geometry.height_px
    size = (height_px.shape[1], height_px.shape[0])
    over = np.zeros_like(height_px)
    for reach in range(1, _SHADOW_REACH + 1):
        distance_px = reach * geometry.unit_px
        move = np.array([[1.0, 0.0, -to_x * distance_px], [0.0, 1.0, -to_y * distance_px]], dtype=np.float32)
        towards_lamp = np.asarray(cv2.warpAffine(height_px, move, size, borderMode=cv2.BORDER_REPLICATE))
        over = np.maximum(over, towards_lamp - height_px - np.float32(distance_px * to_z))
    return blurred(np.clip(over / (1.5 * geometry.unit_px), 0.0, 1.0).astype(np.float32), 1.4 * geometry.unit_px)


def _belt_shadow(grid: Grid, geometry: Geometry) -> NDArray[np.float32]:
    """Return how much of the light the part takes from the belt: 0 to 1, deepest in contact and under the bores."""
    unit_px = geometry.unit_px
    plate = grid.inside(geometry.outline)
    move = np.array([[1.0, 0.0, 8.0 * unit_px], [0.0, 1.0, 11.0 * unit_px]], dtype=np.float32)
    fallen = np.asarray(cv2.warpAffine(plate, move, (plate.shape[1], plate.shape[0])), dtype=np.float32)
    soft = 0.85 * blurred(fallen, 7.0 * unit_px) + 0.60 * blurred(plate, 4.0 * unit_px)
    return np.clip(soft, 0.0, 0.9)
