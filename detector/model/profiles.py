"""Profiles: named sets of everything that is chosen before training."""

from __future__ import annotations

from dataclasses import dataclass, replace

from shared.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Profile:
    """How a model looks at a picture and what it keeps of the good ones.

    `sides_px` are the magnifications to choose from: the side of the square of the pictures' median area, in the
    tower's pixels; `level_light` is that of the lens. The map is made at `map_side_px` likewise; `blur_sigma_px` is in
    its pixels, and `top_share` is the part of them whose mean is the picture's score. `mean` and `std` are of channels
    in 0..1, RGB. `stages` index the tower's feature maps; `grid_stride_px` is the tower's pixels between two patches.

    With `refine_stages`, a refiner of `refine_width` channels reads these stages; it learns from `refine_pictures`
    spoilt pictures of 256 x 256, or as many pixels, and has the two shares in the map and in the picture's score.
    """

    name: str
    tower: str
    sides_px: tuple[int, ...]
    multiple_px: int
    level_light: bool
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    stages: tuple[int, ...]
    grid_stride_px: int
    neighbourhood: int
    bank_size: int
    map_side_px: int
    blur_sigma_px: float
    refine_stages: tuple[int, ...]
    refine_width: int
    refine_pictures: int
    refined_share_of_place: float
    refined_share_of_score: float
    top_share: float
    max_regions: int


# The checkpoint was converted from TensorFlow's EfficientNet-Lite, which was trained on (x - 127) / 128.
LITE = Profile(
    name="lite",
    tower="linewarden-lite",
    sides_px=(256,),
    multiple_px=16,
    level_light=True,
    mean=(127 / 255,) * 3,
    std=(128 / 255,) * 3,
    stages=(2, 3),
    grid_stride_px=8,
    neighbourhood=1,
    bank_size=2048,
    map_side_px=256,
    blur_sigma_px=3.0,
    refine_stages=(),
    refine_width=32,
    refine_pictures=0,
    refined_share_of_place=0.75,
    refined_share_of_score=0.25,
    top_share=0.001,
    max_regions=16,
)

# Up to eight times the work of `lite`, for thin, faint and large defects at once.
LITE_PYRAMID = replace(
    LITE,
    name="lite-pyramid",
    sides_px=(256, 384, 512),
    neighbourhood=3,
    bank_size=6144,
    blur_sigma_px=2.0,
    refine_stages=(1, 2, 3),
    refine_pictures=1500,
    top_share=0.003,
)

PROFILES = {profile.name: profile for profile in (LITE, LITE_PYRAMID)}


def profile_named(name: str) -> Profile:
    """Return the profile called `name`; ConfigError lists the known ones."""
    try:
        return PROFILES[name]
    except KeyError:
        known = ", ".join(sorted(PROFILES))
        raise ConfigError(f"there is no model profile {name!r}", f"Choose one of: {known}.") from None
