"""The tower that a profile asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.model.backbone.tower import Tower, filled_visual
from detector.model.backbone.value_attention import ValueTower

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from detector.model.profiles import Profile


def tower_of(settings: Profile, tensors: Mapping[str, torch.Tensor]) -> Tower:
    """Return the profile's tower with these tensors, those of `vision_tensors`; the errors of `filled_visual`."""
    visual = filled_visual(settings.tower, tensors, settings.canvas)
    if settings.value_attention_from:
        return ValueTower(visual, settings.value_attention_from)
    return Tower(visual)
