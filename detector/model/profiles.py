"""Profiles: named sets of everything that is chosen before training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from detector.model.head_shape import REFINER
from detector.model.lens import Size
from shared.domain import MOST_REGIONS, Effort
from shared.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Profile:
    """How a model looks at a picture and what it keeps of the good ones.

    `value_attention_from` is the block of a ViT from which patches look at what resembles them; 0 for none.

    `sides_px` are the magnifications to choose from: the side of the square of the pictures' median area, in the
    tower's pixels; the two that bracket the camera's own are taken. With `square` each picture becomes a square of that
    side, for towers whose positions belong to one grid. `level_light` is that of the lens. The map is made at
    `map_side_px` likewise; `blur_sigma_px` is in its pixels, and `top_share` is the part of them whose mean is the
    picture's score. `mean` and `std` are of channels in 0..1, RGB. `stages` index the tower's feature maps;
    `grid_stride_px` is the tower's pixels between two patches. Few good pictures also enter the bank at each of
    `bank_gains`, brightnesses over their own: for towers that see light as it is.

    With `crop_side_px`, doubtful pictures are looked at again in at most `crops_most` windows of so many pixels a side,
    cut from the full-resolution frame.

    `heads` name what is learnt from defects made in good pictures. They are of `head_width` channels, read
    `head_stages`, finest first, and learn in `head_steps` steps from `head_pictures` spoilt pictures of 256 x 256, or
    as many pixels. A prompt is `prompt_context` learnt tokens before `prompt_word`; there are `prompt_count` of them:
    normal and abnormal, or abnormal alone. The two shares are the bank's and each head's in the map and in the
    picture's score.
    """

    name: str
    tower: str
    value_attention_from: int
    sides_px: tuple[int, ...]
    multiple_px: int
    square: bool
    level_light: bool
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    stages: tuple[int, ...]
    grid_stride_px: int
    neighbourhood: int
    bank_size: int
    bank_gains: tuple[float, ...]
    map_side_px: int
    blur_sigma_px: float
    heads: tuple[str, ...]
    head_stages: tuple[int, ...]
    head_width: int
    head_pictures: int
    head_steps: int
    prompt_context: int
    prompt_count: int
    prompt_word: str
    shares_of_place: tuple[float, ...]
    shares_of_score: tuple[float, ...]
    top_share: float
    crop_side_px: int
    crops_most: int
    max_regions: int

    @property
    def canvas(self) -> Size | None:
        """The one size that the tower is built for; None if it takes any."""
        return Size(self.sides_px[0], self.sides_px[0]) if self.square else None

    @property
    def asked(self) -> tuple[int, ...]:
        """Which of the bank (0) and the heads (1 and on) have any share."""
        shares = zip(self.shares_of_place, self.shares_of_score, strict=True)
        return tuple(index for index, (place, score) in enumerate(shares) if place or score)

    def on_the_bank_alone(self) -> Profile:
        """Return the same profile without heads."""
        return replace(self, heads=(), head_stages=(), shares_of_place=(1.0,), shares_of_score=(1.0,))

    def at(self, effort: Effort) -> Profile:
        """Return the same profile without the refiner's say, or with the bank's alone."""
        asked = {
            Effort.FULL: (True,) * len(self.shares_of_place),
            Effort.UNREFINED: (True, *(head != REFINER for head in self.heads)),
            Effort.COARSE: (True, *(False for _ in self.heads)),
        }[effort]
        return replace(
            self,
            shares_of_place=_of_those(self.shares_of_place, asked),
            shares_of_score=_of_those(self.shares_of_score, asked),
        )


def _of_those(shares: tuple[float, ...], asked: Sequence[bool]) -> tuple[float, ...]:
    """Return shares that add up to 1 again without those that are not asked; all the bank's where none is left."""
    left = [share if wanted else 0.0 for share, wanted in zip(shares, asked, strict=True)]
    total = sum(left)
    return tuple(share / total for share in left) if total else (1.0, *(0.0 for _ in left[1:]))


# The checkpoint was converted from TensorFlow's EfficientNet-Lite, which was trained on (x - 127) / 128.
LITE = Profile(
    name="lite",
    tower="linewarden-lite",
    value_attention_from=0,
    sides_px=(256,),
    multiple_px=16,
    square=False,
    level_light=True,
    mean=(127 / 255,) * 3,
    std=(128 / 255,) * 3,
    stages=(2, 3),
    grid_stride_px=8,
    neighbourhood=1,
    bank_size=2048,
    bank_gains=(),
    map_side_px=256,
    blur_sigma_px=3.0,
    heads=(),
    head_stages=(),
    head_width=32,
    head_pictures=0,
    head_steps=0,
    # CLIP-ADA is one model for many products: the prompt names none of them.
    prompt_context=12,
    prompt_count=2,
    prompt_word="object",
    shares_of_place=(1.0,),
    shares_of_score=(1.0,),
    top_share=0.001,
    crop_side_px=0,
    crops_most=3,
    max_regions=MOST_REGIONS,
)

# Up to eight times the work of `lite`, for thin, faint and large defects at once.
LITE_PYRAMID = replace(
    LITE,
    name="lite-pyramid",
    sides_px=(256, 384, 512),
    neighbourhood=3,
    bank_size=4096,
    blur_sigma_px=2.0,
    heads=("refiner",),
    head_stages=(1, 2, 3),
    head_pictures=1500,
    head_steps=900,
    shares_of_place=(0.25, 0.75),
    shares_of_score=(0.6, 0.4),
    top_share=0.003,
)

# Large frames: a coarse look at twice the side of `lite`, and what is doubtful again at the camera's own resolution.
LITE_CROP = replace(LITE, name="lite-crop", sides_px=(512,), map_side_px=512, crop_side_px=256)

# CLIP's own normalisation (Radford et al., ICML 2021, their released code); its towers see light as it is.
_CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

# CLIP's towers read four levels and learn a prompt through the text tower. They need weights: `--weights`.
EDGE = replace(
    LITE,
    name="edge",
    tower="ViT-B-16",
    sides_px=(256,),
    square=True,
    level_light=False,
    mean=_CLIP_MEAN,
    std=_CLIP_STD,
    stages=(2, 5, 8, 11),
    grid_stride_px=16,
    neighbourhood=3,
    bank_size=4096,
    bank_gains=(0.8, 1.25),
    blur_sigma_px=4.0,
    heads=("prompt",),
    head_stages=(2, 5, 8, 11),
    head_pictures=1500,
    head_steps=900,
    shares_of_place=(0.5, 0.5),
    shares_of_score=(0.5, 0.5),
    top_share=0.01,
)
# MobileCLIP2 (Faghri et al., 2025) takes pictures of any size, and light as it is, in 0..1.
EDGE_MOBILE = replace(
    EDGE,
    name="edge-mobile",
    tower="MobileCLIP2-S0",
    square=False,
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
    multiple_px=32,
    grid_stride_px=8,
    stages=(1, 2),
    head_stages=(0, 1, 2),
)
PAPER = replace(
    EDGE,
    name="paper",
    # The released weights were trained with QuickGELU; the plain name would load them with another activation.
    tower="ViT-L-14-336-quickgelu",
    sides_px=(336,),
    multiple_px=14,
    grid_stride_px=14,
    stages=(5, 11, 17, 23),
    head_stages=(5, 11, 17, 23),
)
PAPER_518 = replace(PAPER, name="paper-518", sides_px=(518,))
# The last 19 of 24 blocks, as in AnomalyCLIP (Zhou et al., ICLR 2024).
PAPER_518_VV = replace(PAPER_518, name="paper-518-vv", value_attention_from=5)

PROFILES = {
    profile.name: profile
    for profile in (LITE, LITE_PYRAMID, LITE_CROP, EDGE, EDGE_MOBILE, PAPER, PAPER_518, PAPER_518_VV)
}


def profile_named(name: str) -> Profile:
    """Return the profile called `name`; ConfigError lists the known ones."""
    try:
        return PROFILES[name]
    except KeyError:
        known = ", ".join(sorted(PROFILES))
        raise ConfigError(f"there is no model profile {name!r}", f"Choose one of: {known}.") from None
