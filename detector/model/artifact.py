"""A trained model as a folder: tensors, one readable file of numbers, a model card, and their checksums.

    model.safetensors   tower.* the tower's weights; for each view bank.N the good patches, expected.N their
                        usual distances; refiner.N.* the refiners' weights
    model.toml          format version, profile, views, calibration, region level, what it was trained on
    README.md           the model card
    checksums.txt       sha256 of the three, in the form that `sha256sum -c` reads

Nothing in it is executed on loading, and it needs no file beside it.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from detector.model.backbone.tower import build_tower
from detector.model.bank import Bank
from detector.model.calibration import Calibration
from detector.model.card import model_card
from detector.model.lens import Lens
from detector.model.patch_model import PatchModel
from detector.model.profiles import Profile
from detector.model.refinement import Refinement, Scale
from detector.model.refiner import Refiner, Shape
from detector.model.view import View
from shared.errors import ConfigError, ModelCorruptError, ModelMissingError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

FORMAT_VERSION = 2
_TENSORS = "model.safetensors"
_NUMBERS = "model.toml"
_CARD = "README.md"
_CHECKSUMS = "checksums.txt"
_FILES = (_CARD, _TENSORS, _NUMBERS)
_TOWER = "tower."
_BANK = "bank."
_EXPECTED = "expected."
_REFINER = "refiner."
_TRAIN_AGAIN = "Train it again with `linewarden train`."


@dataclass(frozen=True, slots=True)
class TrainingFacts:
    """What a model was trained on; for people and audits, inspection reads none of it."""

    pictures: int
    data_sha256: str
    weights_sha256: str
    seed: int
    folds: int
    expected_floor: float
    created_utc: str


@dataclass(frozen=True, slots=True, eq=False)
class TrainedView:
    """A lens, the rows (K, D) of its bank and the usual distances (h, w) float32."""

    lens: Lens
    bank_rows: torch.Tensor
    expected: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class TrainedModel:
    """Everything that training found, before it is written."""

    settings: Profile
    tower: Mapping[str, torch.Tensor]
    views: tuple[TrainedView, ...]
    refinement: Refinement | None
    map_lens: Lens
    calibration: Calibration
    region_level: float
    facts: TrainingFacts

    def save(self, folder: Path, *, overwrite: bool = False) -> str:
        """Write the artifact and return its model id; see `save`."""
        return save(self, folder, overwrite=overwrite)


def save(trained: TrainedModel, folder: Path, *, overwrite: bool = False) -> str:
    """Write the artifact into `folder` all at once, and return its model id.

    A folder that holds anything but a model artifact is never touched; an artifact is replaced with `overwrite` alone.
    """
    folder = folder.absolute()
    _refuse_to_lose(folder, overwrite=overwrite)
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        staging.chmod(0o755)
        for name, blob in _contents(trained).items():
            (staging / name).write_bytes(blob)
        sums = _checksum_list(staging)
        (staging / _CHECKSUMS).write_text(sums, encoding="utf-8")
        _swap(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return _model_id(trained.settings.name, sums)


def load(folder: Path) -> PatchModel:
    """Load a model: ModelMissingError if there is none, ModelCorruptError if it is not as it was written."""
    if not (folder / _CHECKSUMS).is_file():
        raise ModelMissingError(f"there is no model in {folder}", "Make one with `linewarden train`.")
    sums = _verify(folder)
    numbers = _read_numbers(folder)
    try:
        tensors = load_tensors((folder / _TENSORS).read_bytes())
    except SafetensorError as error:
        raise ModelCorruptError(f"{folder / _TENSORS} cannot be read: {error}", _TRAIN_AGAIN) from error
    try:
        settings = _profile(numbers["settings"])
        map_lens = Lens(**numbers["map_lens"])
        calibration = _calibration(numbers["calibration"])
        region_level = float(numbers["region_level"])
        views = tuple(
            View(Lens(**lens), Bank(tensors.pop(f"{_BANK}{index}")), tensors.pop(f"{_EXPECTED}{index}").numpy())
            for index, lens in enumerate(numbers["views"])
        )
        refinement = _refinement(numbers["refinement"], tensors) if "refinement" in numbers else None
    except (KeyError, TypeError, ValueError) as error:
        raise ModelCorruptError(f"the model in {folder} lacks or misstates {error}", _TRAIN_AGAIN) from error
    weights = {name.removeprefix(_TOWER): tensor for name, tensor in tensors.items()}
    return PatchModel(
        model_id=_model_id(settings.name, sums),
        settings=settings,
        tower=build_tower(settings.tower, weights),
        views=views,
        refinement=refinement,
        map_lens=map_lens,
        calibration=calibration,
        region_level=region_level,
    )


def _contents(trained: TrainedModel) -> dict[str, bytes]:
    tensors = {f"{_TOWER}{name}": tensor.contiguous() for name, tensor in trained.tower.items()}
    for index, view in enumerate(trained.views):
        tensors[f"{_BANK}{index}"] = view.bank_rows.contiguous()
        tensors[f"{_EXPECTED}{index}"] = torch.from_numpy(view.expected)
    numbers: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "region_level": trained.region_level,
        "settings": asdict(trained.settings),
        "map_lens": asdict(trained.map_lens),
        "views": [asdict(view.lens) for view in trained.views],
        "calibration": asdict(trained.calibration),
        "training": asdict(trained.facts),
    }
    if trained.refinement is not None:
        tensors |= _refiner_tensors(trained.refinement)
        numbers["refinement"] = _refinement_numbers(trained.refinement)
    return {
        _TENSORS: save_tensors(tensors),
        _NUMBERS: tomli_w.dumps(numbers).encode(),
        _CARD: model_card(numbers).encode(),
    }


def _checksum_list(folder: Path) -> str:
    lines = (f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in _FILES)
    return "".join(lines)


def _model_id(profile: str, checksums: str) -> str:
    return f"{profile}-{hashlib.sha256(checksums.encode()).hexdigest()[:12]}"


def _refuse_to_lose(folder: Path, *, overwrite: bool) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder", "Choose another place for the model.")
    held = {path.name for path in folder.iterdir()}
    if held and not ({_CHECKSUMS, _NUMBERS} <= held <= {_CHECKSUMS, *_FILES}):
        raise ConfigError(f"{folder} holds other things than a model", "Choose an empty or a new folder.")
    if held and not overwrite:
        raise ConfigError(f"there is a model in {folder} already", "Choose a new folder, or allow overwriting.")


def _swap(staging: Path, folder: Path) -> None:
    """Put the finished folder in its place; a reader sees the old model or the new one, or for an instant none."""
    if folder.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent))
        folder.rename(old / folder.name)
        staging.rename(folder)
        shutil.rmtree(old)
    else:
        staging.rename(folder)


def _verify(folder: Path) -> str:
    """Return the checksum list after checking every file against it."""
    sums = (folder / _CHECKSUMS).read_text(encoding="utf-8", errors="replace")
    for name in _FILES:
        if not (folder / name).is_file():
            raise ModelCorruptError(f"{folder} lacks {name}", _TRAIN_AGAIN)
    if sums != _checksum_list(folder):
        raise ModelCorruptError(f"the model in {folder} does not match its checksums", _TRAIN_AGAIN)
    return sums


def _read_numbers(folder: Path) -> dict[str, Any]:
    try:
        numbers = tomllib.loads((folder / _NUMBERS).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelCorruptError(f"{folder / _NUMBERS} cannot be read: {error}", _TRAIN_AGAIN) from error
    version = numbers.get("format_version")
    if version != FORMAT_VERSION:
        raise ModelCorruptError(
            f"the model in {folder} has the format {version}, this program reads {FORMAT_VERSION}",
            "Update the program, or train the model again with this one.",
        )
    return numbers


def _refiner_tensors(refinement: Refinement) -> dict[str, torch.Tensor]:
    return {
        f"{_REFINER}{index}.{name}": tensor.contiguous()
        for index, refiner in enumerate(refinement.refiners)
        for name, tensor in refiner.state_dict().items()
    }


def _refinement_numbers(refinement: Refinement) -> dict[str, Any]:
    return {
        "view": refinement.view,
        "bank": asdict(refinement.bank),
        "logits": asdict(refinement.logits),
        "shapes": [asdict(refiner.shape) for refiner in refinement.refiners],
    }


def _refinement(table: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Refinement:
    """Return what was saved, and take its tensors out of `tensors`."""
    refiners = []
    for index, shape in enumerate(table["shapes"]):
        prefix = f"{_REFINER}{index}."
        state = {name.removeprefix(prefix): tensors.pop(name) for name in list(tensors) if name.startswith(prefix)}
        refiner = Refiner(Shape(tuple(shape["channels"]), shape["patch"], shape["width"]))
        try:
            refiner.load_state_dict(state)
        except RuntimeError as error:
            raise ValueError(f"the tensors of refiner {index}") from error
        refiners.append(refiner.eval().requires_grad_(requires_grad=False))
    return Refinement(table["view"], tuple(refiners), Scale(**table["bank"]), Scale(**table["logits"]))


def _profile(table: dict[str, Any]) -> Profile:
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    return Profile(**fields)


def _calibration(table: dict[str, Any]) -> Calibration:
    knots = tuple((float(raw), float(score)) for raw, score in table["knots"])
    return Calibration(**{**table, "knots": knots})
