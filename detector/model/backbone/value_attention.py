"""Value-to-value attention: patch tokens of a ViT that look at what resembles them, not at the scene's middle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn
from torch.nn import functional

from detector.model.backbone.tower import Tower
from shared.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class ValueTower(Tower):
    """A ViT whose stages from the block `start` on come from a second path of value-to-value attention.

    Li et al., CLIP Surgery, 2023, section 3.3: beside the unchanged path x, a path z starts at x and adds, block by
    block, softmax(v v^T / sqrt d) v with v of x, and no feed-forward layer.
    """

    def __init__(self, visual: nn.Module, start: int) -> None:
        super().__init__(visual)
        blocks = list(cast("Any", visual).transformer.resblocks) if hasattr(visual, "transformer") else []
        if not blocks or not isinstance(getattr(blocks[0], "attn", None), nn.MultiheadAttention):
            raise ConfigError("value-to-value attention needs a ViT of CLIP's own kind", "Turn it off for this tower.")
        if not 1 <= start < len(blocks):
            raise ConfigError(
                f"value-to-value attention cannot start at block {start} of {len(blocks)}",
                f"Choose 1 to {len(blocks) - 1}.",
            )
        self._blocks = blocks
        self._start = start

    def stages(self, batch: torch.Tensor, indices: Sequence[int]) -> list[torch.Tensor]:
        """Return the feature maps (B, C, h, w) float32 of the wanted blocks; see Tower.stages."""
        last = max(indices)
        before = [index for index in indices if index < self._start]
        wanted = sorted({*before, *range(self._start - 1, last)})
        forward = cast("Callable[..., dict[str, list[torch.Tensor]]]", self._visual.forward_intermediates)
        out = forward(
            batch,
            indices=wanted,
            stop_early=True,
            intermediates_only=True,
            output_extra_tokens=True,
        )
        maps = dict(zip(wanted, out["image_intermediates"], strict=True))
        heads = dict(zip(wanted, out["image_intermediates_prefix"], strict=True))
        tokens = {index: torch.cat([heads[index], _rows(maps[index])], dim=1) for index in wanted}
        found = {index: maps[index] for index in before}
        path = tokens[self._start - 1]
        for index in range(self._start, last + 1):
            block = self._blocks[index]
            path = path + block.ls_1(_value_attention(block.attn, block.ln_1(tokens[index - 1])))
            found[index] = path[:, heads[wanted[0]].shape[1] :].transpose(1, 2).reshape(maps[wanted[0]].shape)
        return [found[index] for index in indices]


def _rows(stage: torch.Tensor) -> torch.Tensor:
    return stage.flatten(2).transpose(1, 2)


def _value_attention(attention: nn.MultiheadAttention, rows: torch.Tensor) -> torch.Tensor:
    """Return softmax(v v^T / sqrt d) v through the output projection, (B, N, C), of rows (B, N, C)."""
    batch, count, width = rows.shape
    weight = cast("torch.Tensor", attention.in_proj_weight)[-width:]
    bias = cast("torch.Tensor", attention.in_proj_bias)[-width:]
    values = functional.linear(rows, weight, bias)
    split = values.view(batch, count, attention.num_heads, -1).transpose(1, 2)
    mixed = functional.scaled_dot_product_attention(split, split, split)
    return cast("torch.Tensor", attention.out_proj(mixed.transpose(1, 2).reshape(batch, count, width)))
