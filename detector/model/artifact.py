"""A trained model as a folder: tensors, one readable file of numbers, a model card, and their checksums.

    model.safetensors   tower.* the tower's weights; head.K.N.* the N-th head of kind K; for each product P and view
                        V (a number, or `crops`) bank.P.V the good patches and
                        expected.P.V their usual distances; since the format 6 also source.P.V the picture of the
                        gallery that each good patch comes from, and golden.P.N the N-th one's JPEG
    model.toml          format version, profile, heads; each product's views, scales, calibration, region level, and
                        what it was trained on, the names of its gallery's pictures, and the calibration and region
                        level of each lesser effort
    README.md           the model card
    checksums.txt       sha256 of the three, in the form that `sha256sum -c` reads

Nothing in it is executed on loading, and it needs no file beside it.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import tomllib
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from detector.model.backbone.assemble import tower_of
from detector.model.bank import Bank
from detector.model.calibration import Calibration
from detector.model.card import model_card
from detector.model.crops import Crops
from detector.model.fusion import Scale
from detector.model.gallery import Gallery
from detector.model.heads import Ensemble, HeadShape, build_head, frozen
from detector.model.lens import Lens
from detector.model.patch_model import PatchModel
from detector.model.product import Product
from detector.model.profiles import Profile
from detector.model.view import View
from shared.domain import Effort
from shared.errors import ConfigError, ModelCorruptError, ModelMissingError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FORMAT_VERSION = 6
READABLE = (5, 6)
"""A model of the format 5 keeps no training pictures: nothing golden can be shown beside a part."""
_TENSORS = "model.safetensors"
_NUMBERS = "model.toml"
_CARD = "README.md"
_CHECKSUMS = "checksums.txt"
_FILES = (_CARD, _TENSORS, _NUMBERS)
_TOWER = "tower."
_BANK = "bank."
_EXPECTED = "expected."
_SOURCE = "source."
_GOLDEN = "golden."
_HEAD = "head."
_CROPS = "crops"
_TRAIN_AGAIN = "Train it again with `linewarden train`."


@dataclass(frozen=True, slots=True)
class TrainingFacts:
    """What one product was trained on; for people and audits, inspection reads none of it."""

    pictures: int
    data_sha256: str
    folds: int
    expected_floor: float


@dataclass(frozen=True, slots=True, eq=False)
class TrainedModel:
    """Everything that training found, before it is written; `facts` are each product's."""

    settings: Profile
    tower: Mapping[str, torch.Tensor]
    ensembles: tuple[Ensemble, ...]
    products: tuple[Product, ...]
    facts: tuple[TrainingFacts, ...]
    weights_sha256: str
    seed: int
    created_utc: str

    def save(self, folder: Path, *, overwrite: bool = False) -> str:
        """Write the artifact and return its model id; see `save`."""
        return save(self, folder, overwrite=overwrite)


def save(trained: TrainedModel, folder: Path, *, overwrite: bool = False) -> str:
    """Write the artifact into `folder` all at once, and return its model id.

    A folder that holds anything but a model artifact is never touched; an artifact is replaced with `overwrite` alone.
    """
    folder = folder.absolute()
    refuse_to_lose(folder, overwrite=overwrite)
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


def load(folder: Path, product: str | None = None) -> PatchModel:
    """Load a model for one of its products, which must be named if there are several.

    ModelMissingError if there is none, ModelCorruptError if it is not as it was written, ConfigError if it does not
    know the product.
    """
    sums, numbers = _opened(folder)
    try:
        tensors = load_tensors((folder / _TENSORS).read_bytes())
    except SafetensorError as error:
        raise ModelCorruptError(f"{folder / _TENSORS} cannot be read: {error}", _TRAIN_AGAIN) from error
    try:
        settings = _profile(numbers["settings"])
        ensembles = tuple(_ensemble(table, tensors) for table in numbers["heads"])
        products = [_product(index, table, tensors) for index, table in enumerate(numbers["products"])]
    except (KeyError, TypeError, ValueError) as error:
        raise ModelCorruptError(f"the model in {folder} lacks or misstates {error}", _TRAIN_AGAIN) from error
    weights = {name.removeprefix(_TOWER): tensor for name, tensor in tensors.items()}
    return PatchModel(
        model_id=_model_id(settings.name, sums),
        settings=settings,
        tower=tower_of(settings, weights),
        ensembles=ensembles,
        product=_chosen(folder, products, product),
    )


def products_of(folder: Path) -> list[str]:
    """Return the names of the products that a model knows; the same errors as `load`."""
    _, numbers = _opened(folder)
    try:
        return [str(table["name"]) for table in numbers["products"]]
    except (KeyError, TypeError) as error:
        raise ModelCorruptError(f"the model in {folder} lacks or misstates {error}", _TRAIN_AGAIN) from error


def _opened(folder: Path) -> tuple[str, dict[str, Any]]:
    """Return a model's checksum list and numbers, both checked."""
    if not (folder / _CHECKSUMS).is_file():
        raise ModelMissingError(f"there is no model in {folder}", "Make one with `linewarden train`.")
    try:
        sums = _verify(folder)
    except ModelCorruptError:
        # A newer format may have other files: then that is what is wrong.
        with suppress(OSError, ValueError):
            _refuse_other_formats(folder, tomllib.loads((folder / _NUMBERS).read_text(encoding="utf-8")))
        raise
    return sums, _read_numbers(folder)


def _chosen(folder: Path, products: Sequence[Product], name: str | None) -> Product:
    if name is None and len(products) == 1:
        return products[0]
    for product in products:
        if product.name == name:
            return product
    known = ", ".join(product.name for product in products)
    problem = f"does not know the product {name!r}" if name else "knows several products"
    raise ConfigError(f"the model in {folder} {problem}", f"Name one of: {known}.")


def _contents(trained: TrainedModel) -> dict[str, bytes]:
    tensors = {f"{_TOWER}{name}": tensor.contiguous() for name, tensor in trained.tower.items()}
    for ensemble in trained.ensembles:
        tensors |= _head_tensors(ensemble)
    for index, product in enumerate(trained.products):
        views = {str(number): view for number, view in enumerate(product.views)}
        if product.crops is not None:
            views[_CROPS] = product.crops.view
        for name, view in views.items():
            tensors[f"{_BANK}{index}.{name}"] = view.bank.rows.contiguous()
            tensors[f"{_EXPECTED}{index}.{name}"] = torch.from_numpy(view.expected)
            if view.bank.sources is not None and product.gallery is not None:
                tensors[f"{_SOURCE}{index}.{name}"] = view.bank.sources
        for number, jpeg in enumerate(product.gallery.jpegs if product.gallery is not None else ()):
            tensors[f"{_GOLDEN}{index}.{number}"] = torch.frombuffer(bytearray(jpeg), dtype=torch.uint8)
    numbers: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "created_utc": trained.created_utc,
        "seed": trained.seed,
        "weights_sha256": trained.weights_sha256,
        "settings": asdict(trained.settings),
        "heads": [{**asdict(ensemble.shape), "members": len(ensemble.heads)} for ensemble in trained.ensembles],
        "products": [
            _product_numbers(product, facts) for product, facts in zip(trained.products, trained.facts, strict=True)
        ],
    }
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


def refuse_to_lose(folder: Path, *, overwrite: bool) -> None:
    """Raise ConfigError unless an artifact may be written to `folder`: best asked before hours of training."""
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
    _refuse_other_formats(folder, numbers)
    return numbers


def _refuse_other_formats(folder: Path, numbers: dict[str, Any]) -> None:
    version = numbers.get("format_version")
    if version not in READABLE:
        raise ModelCorruptError(
            f"the model in {folder} has the format {version}, this program reads {' and '.join(map(str, READABLE))}",
            "Update the program, or train the model again with this one.",
        )


def _product_numbers(product: Product, facts: TrainingFacts) -> dict[str, Any]:
    numbers: dict[str, Any] = {
        "name": product.name,
        "region_level": product.region_level,
        "map_lens": asdict(product.map_lens),
        "views": [asdict(view.lens) for view in product.views],
        "scales": [asdict(scale) for scale in product.scales],
        "calibration": asdict(product.calibration),
        "training": asdict(facts),
    }
    if product.gallery is not None:
        numbers["gallery"] = {"names": list(product.gallery.names), "pictures": product.gallery.pictures}
    if product.lesser:
        numbers["lesser"] = {
            effort.value: {"calibration": asdict(lesser.calibration), "region_level": lesser.region_level}
            for effort, lesser in product.lesser.items()
        }
    if product.crops is not None:
        crops = product.crops
        numbers["crops"] = {
            "lens": asdict(crops.view.lens),
            "doubt_from": crops.doubt_from,
            "doubt_until": crops.doubt_until,
            "coarse": asdict(crops.coarse),
            "peak": asdict(crops.peak),
        }
    return numbers


def _product(index: int, table: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Product:
    """Return what was saved, and take its tensors out of `tensors`."""
    views = [_view(lens, f"{index}.{number}", tensors) for number, lens in enumerate(table["views"])]
    crops = None
    if "crops" in table:
        again = table["crops"]
        crops = Crops(
            view=_view(again["lens"], f"{index}.{_CROPS}", tensors),
            doubt_from=float(again["doubt_from"]),
            doubt_until=float(again["doubt_until"]),
            coarse=Scale(**again["coarse"]),
            peak=Scale(**again["peak"]),
        )
    product = Product(
        name=str(table["name"]),
        views=tuple(views),
        scales=tuple(Scale(**scale) for scale in table["scales"]),
        map_lens=Lens(**table["map_lens"]),
        calibration=_calibration(table["calibration"]),
        region_level=float(table["region_level"]),
        crops=crops,
        gallery=_gallery(index, table["gallery"], tensors) if "gallery" in table else None,
    )
    lesser = {
        Effort(name): product.at(Effort(name), _calibration(less["calibration"]), float(less["region_level"]))
        for name, less in table.get("lesser", {}).items()
    }
    return replace(product, lesser=lesser)


def _view(lens: dict[str, Any], name: str, tensors: dict[str, torch.Tensor]) -> View:
    bank = Bank(tensors.pop(f"{_BANK}{name}"), tensors.pop(f"{_SOURCE}{name}", None))
    return View(Lens(**lens), bank, tensors.pop(f"{_EXPECTED}{name}").numpy())


def _gallery(index: int, table: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Gallery:
    names = tuple(str(name) for name in table["names"])
    jpegs = tuple(tensors.pop(f"{_GOLDEN}{index}.{number}").numpy().tobytes() for number in range(len(names)))
    return Gallery(names, jpegs, int(table["pictures"]))


def _head_tensors(ensemble: Ensemble) -> dict[str, torch.Tensor]:
    return {
        f"{_HEAD}{ensemble.shape.kind}.{index}.{name}": tensor.contiguous()
        for index, head in enumerate(ensemble.heads)
        for name, tensor in head.state_dict().items()
    }


def _ensemble(table: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Ensemble:
    """Return what was saved, and take its tensors out of `tensors`."""
    shape = HeadShape(table["kind"], tuple(table["channels"]), table["patch"], table["width"], table["prompts"])
    heads = []
    for index in range(table["members"]):
        prefix = f"{_HEAD}{shape.kind}.{index}."
        state = {name.removeprefix(prefix): tensors.pop(name) for name in list(tensors) if name.startswith(prefix)}
        head = build_head(shape)
        try:
            head.load_state_dict(state)
        except RuntimeError as error:
            raise ValueError(f"the tensors of the {shape.kind} {index}") from error
        heads.append(head)
    return Ensemble(shape, frozen(heads))


def _profile(table: dict[str, Any]) -> Profile:
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    return Profile(**fields)


def _calibration(table: dict[str, Any]) -> Calibration:
    knots = tuple((float(raw), float(score)) for raw, score in table["knots"])
    held_out = tuple(float(raw) for raw in table["held_out"])
    return Calibration(**{**table, "knots": knots, "held_out": held_out})
