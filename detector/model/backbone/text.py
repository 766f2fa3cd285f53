"""The text tower: an open_clip model's language half, frozen, given a learnable context instead of words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import open_clip
import torch
from open_clip.transformer import text_global_pool
from torch import nn
from torch.nn import functional

from shared.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

# One token of CLIP's vocabulary, standing where the learnt vectors go (as in CoOp, Zhou et al., IJCV 2022).
_PLACEHOLDER = "X"


class TextTower:
    """A frozen language half. Its gradient flows to the context that it is given, never to its own weights."""

    def __init__(self, clip: nn.Module, tower: str) -> None:
        self._text = cast("Any", clip.text if hasattr(clip, "text") else clip)
        self._tower = tower

    @property
    def width(self) -> int:
        """The length of one token's vector."""
        return int(self._part("token_embedding").weight.shape[1])

    @property
    def joint_width(self) -> int:
        """The length of a prompt's vector, in the space that pictures and texts share."""
        return int(self.encode(self.word_vectors(_PLACEHOLDER), _PLACEHOLDER).shape[0])

    def word_vectors(self, text: str) -> torch.Tensor:
        """Return the vectors (n, width) float32 of a text's tokens: where a learnt context may start."""
        ids = self._tokens(text)
        count = int((ids != 0).sum()) - 2
        return cast("torch.Tensor", self._part("token_embedding")(ids)[0, 1 : 1 + count].detach().clone())

    def encode(self, context: torch.Tensor, word: str) -> torch.Tensor:
        """Return the unit vector (D,) float32 of [start][context][word][end].

        `context` is (n, width) float32. ConfigError if word and context are longer than the tower reads.
        """
        length = context.shape[0]
        ids = self._tokens(" ".join([_PLACEHOLDER] * length + [word]))
        embedded = self._part("token_embedding")(ids)
        rows = torch.cat([embedded[:, :1], context[None], embedded[:, 1 + length :]], dim=1)
        rows = rows + self._part("positional_embedding")[: rows.shape[1]]
        rows = self._part("ln_final")(self._part("transformer")(rows, attn_mask=self._text.attn_mask))
        pool = getattr(self._text, "text_pool_type", None) or self._text.pool_type
        end = getattr(self._text, "text_eos_id", None) or getattr(self._text, "eos_id", None)
        pooled = text_global_pool(rows, ids, pool, eos_token_id=end)
        return functional.normalize(self._project(pooled), dim=-1)[0]

    def _project(self, pooled: torch.Tensor) -> torch.Tensor:
        projection = self._text.text_projection
        if projection is None:
            return pooled
        return cast("torch.Tensor", projection(pooled) if isinstance(projection, nn.Linear) else pooled @ projection)

    def _tokens(self, text: str) -> torch.Tensor:
        tokenise = cast("Callable[[str], torch.Tensor]", open_clip.get_tokenizer(self._tower))
        ids = tokenise(text)
        if int((ids != 0).sum()) >= ids.shape[1]:
            raise ConfigError(
                f"the prompt of {len(text.split())} words does not fit the {ids.shape[1]} tokens of {self._tower}",
                "Shorten the context or the object's name.",
            )
        return ids

    def _part(self, name: str) -> Any:  # noqa: ANN401 - open_clip's modules are untyped
        part = getattr(self._text, name, None)
        if part is None or getattr(self._text, "cls_emb", None) is not None:
            raise ConfigError(
                f"the text half of {self._tower} cannot take a learnt prompt", "Choose a tower with CLIP's own."
            )
        return part
