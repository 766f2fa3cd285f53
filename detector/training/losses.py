"""What the learnable parts are trained to make small. Logits and masks are (B, h, w) float32."""

from __future__ import annotations

import torch
from torch.nn import functional

_FOCUS = 2.0
_FOCAL_WEIGHT = 4.0
_IMAGE_WEIGHT = 0.1
_TOP_SHARE = 500
_FEWEST_TOP = 4


def map_loss(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Return 4 focal + dice over pixels + 0.1 cross-entropy of the picture's score, a scalar.

    The picture's score is the mean of the highest 1/500 of its logits; a picture is defective if its mask holds any.
    """
    pixels = logits.flatten(1)
    highest = pixels.topk(max(_FEWEST_TOP, pixels.shape[1] // _TOP_SHARE), dim=1)
    defective = (masks.flatten(1).amax(dim=1) > 0).to(logits.dtype)
    image = functional.binary_cross_entropy_with_logits(highest.values.mean(dim=1), defective)
    return _FOCAL_WEIGHT * focal(logits, masks) + dice(logits, masks) + _IMAGE_WEIGHT * image


def focal(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Return the mean focal loss with gamma 2 (Lin et al., ICCV 2017), a scalar."""
    entropy = functional.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    right = torch.exp(-entropy)
    return ((1.0 - right) ** _FOCUS * entropy).mean()


def dice(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Return the mean over pictures of 1 - dice with squared denominators (Milletari et al., V-Net, 3DV 2016)."""
    share = torch.sigmoid(logits).flatten(1)
    truth = masks.flatten(1)
    both = (share * truth).sum(dim=1)
    each = share.square().sum(dim=1) + truth.square().sum(dim=1)
    return (1.0 - (2.0 * both + 1.0) / (each + 1.0)).mean()
