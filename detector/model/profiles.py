"""Profiles: named sets of everything that is chosen before training."""

from __future__ import annotations

from dataclasses import dataclass, replace

from shared.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Profile:
    """How a model looks at a picture and what it keeps of the good ones. Lengths are pixels of the canvas.

    The canvas is what the tower sees: `canvas_side_px` squared in area, in the aspect ratio of the training pictures.
    `mean` and `std` are of channels in 0..1, RGB. `stages` index the tower's feature maps; `grid_stride_px` is the
    canvas pixels between two patches.
    """

    name: str
    tower: str
    canvas_side_px: int
    canvas_multiple_px: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    stages: tuple[int, ...]
    grid_stride_px: int
    neighbourhood: int
    bank_size: int
    blur_sigma_px: float
    top_pixels: int
    max_regions: int


# The checkpoint was converted from TensorFlow's EfficientNet-Lite, which was trained on (x - 127) / 128.
LITE = Profile(
    name="lite",
    tower="linewarden-lite",
    canvas_side_px=256,
    canvas_multiple_px=16,
    mean=(127 / 255,) * 3,
    std=(128 / 255,) * 3,
    stages=(2, 3),
    grid_stride_px=8,
    neighbourhood=1,
    bank_size=2048,
    blur_sigma_px=3.0,
    top_pixels=50,
    max_regions=16,
)

# Three and a half times the work of `lite`, for thin and faint defects, where there are some 200 good pictures.
LITE_384 = replace(LITE, name="lite-384", canvas_side_px=384, neighbourhood=3, bank_size=4096, blur_sigma_px=4.0)

PROFILES = {profile.name: profile for profile in (LITE, LITE_384)}


def profile_named(name: str) -> Profile:
    """Return the profile called `name`; ConfigError lists the known ones."""
    try:
        return PROFILES[name]
    except KeyError:
        known = ", ".join(sorted(PROFILES))
        raise ConfigError(f"there is no model profile {name!r}", f"Choose one of: {known}.") from None
