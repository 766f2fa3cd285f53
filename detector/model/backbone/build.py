"""Building an open_clip model by its name, with random weights that are to be replaced."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import open_clip
import torch

from shared.errors import ModelMissingError

if TYPE_CHECKING:
    from torch import nn

    from detector.model.lens import Size

_TOWERS = Path(__file__).parent / "towers"
_RANDOM_SEED = 0


def build_clip(tower: str, canvas: Size | None = None) -> nn.Module:
    """Return the open_clip model called `tower`, for pictures of the size `canvas`; its weights are random.

    The class is called directly: `create_model` would configure the root logger, and warn that no weights are loaded.
    The same random weights come out every time. ModelMissingError if there is no such model.
    """
    if tower not in open_clip.list_models():
        open_clip.add_model_config(_TOWERS)
    config = open_clip.get_model_config(tower)
    if config is None:
        raise ModelMissingError(f"there is no tower {tower!r}", "`open_clip.list_models()` lists what there is.")
    custom = config.pop("custom_text", False)
    if canvas is not None:
        config["vision_cfg"]["image_size"] = (canvas.height_px, canvas.width_px)
    kind = open_clip.CustomTextCLIP if custom else open_clip.CLIP
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_RANDOM_SEED)
        built = kind(**config)
    return cast("nn.Module", built.eval().requires_grad_(requires_grad=False))
