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
    engines/            what was exported for other engines, if anything was: see `detector.export`

Nothing in it is executed on loading, and it needs no file beside it. Torch is loaded for the tower and the heads alone:
a model that runs in another engine, on its bank, starts without it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tomli_w
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as save_tensors

from detector.model.artifact_files import (
    CARD,
    FORMAT_VERSION,
    NUMBERS,
    TENSORS,
    TRAIN_AGAIN,
    id_of,
    opened,
    write_all,
)
from detector.model.bank import Bank
from detector.model.calibration import Calibration
from detector.model.card import model_card
from detector.model.crops import Crops
from detector.model.fusion import Scale
from detector.model.gallery import Gallery
from detector.model.head_shape import HeadShape
from detector.model.lens import Lens
from detector.model.patch_model import PatchModel
from detector.model.product import Product
from detector.model.profiles import Profile
from detector.model.view import View
from shared.domain import Effort
from shared.errors import ConfigError, ModelCorruptError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from detector.model.backbone.tower import Tower
    from detector.model.heads import Ensemble
    from detector.runtime.base import Engine

_TOWER = "tower."
_BANK = "bank."
_EXPECTED = "expected."
_SOURCE = "source."
_GOLDEN = "golden."
_HEAD = "head."
_CROPS = "crops"


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
    tower: Mapping[str, NDArray[Any]]
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
    return id_of(trained.settings.name, write_all(folder.absolute(), _contents(trained), overwrite=overwrite))


@dataclass(frozen=True, slots=True, eq=False)
class StoredModel:
    """A model as it lies in its folder: everything but what computes."""

    folder: Path
    model_id: str
    settings: Profile
    shapes: tuple[HeadShape, ...]
    members: tuple[int, ...]
    products: tuple[Product, ...]

    def chosen(self, name: str | None) -> Product:
        """Return one of the products, which must be named if there are several; ConfigError if there is no such."""
        if name is None and len(self.products) == 1:
            return self.products[0]
        for product in self.products:
            if product.name == name:
                return product
        known = ", ".join(product.name for product in self.products)
        problem = f"does not know the product {name!r}" if name else "knows several products"
        raise ConfigError(f"the model in {self.folder} {problem}", f"Name one of: {known}.")

    def tower(self, *, as_built: bool = False) -> Tower:
        """Return the tower; this loads torch. The errors of `filled_visual`, which says what is `as_built`.

        One of value-to-value attention is ours in any case: open_clip builds none.
        """
        from detector.model.backbone.assemble import tower_of
        from detector.model.backbone.tower import build_tower

        tensors = dict(_torch_tensors(self.folder, _TOWER))
        if as_built and not self.settings.value_attention_from:
            return build_tower(self.settings.tower, tensors, self.settings.canvas, as_built=True)
        return tower_of(self.settings, tensors)

    def ensembles(self) -> tuple[Ensemble, ...]:
        """Return the heads; this loads torch where there are any. ModelCorruptError if they do not fit."""
        if not self.shapes:
            return ()
        from detector.model.heads import filled_ensemble

        tensors = dict(_torch_tensors(self.folder, _HEAD))
        return tuple(
            filled_ensemble(shape, members, tensors) for shape, members in zip(self.shapes, self.members, strict=True)
        )

    def running_on(self, engine: Engine, product: Product, ensembles: tuple[Ensemble, ...] | None = None) -> PatchModel:
        """Return the model of one product in an engine, which searches the banks and looks through the views."""
        seen = product.seen_by(engine, self.settings)
        return PatchModel(
            self.model_id, self.settings, engine, self.ensembles() if ensembles is None else ensembles, seen
        )


def load(folder: Path, product: str | None = None) -> PatchModel:
    """Load a model for one of its products, which must be named if there are several, on the reference engine.

    ModelMissingError if there is none, ModelCorruptError if it is not as it was written, ConfigError if it does not
    know the product. `detector.runtime.making` knows the other engines. In the whole process numpy keeps to one thread
    from then on: see `making.prepare_process`.
    """
    from detector.runtime.blas import limit_threads
    from detector.runtime.eager import TorchEngine

    limit_threads(1)
    stored = read(folder)
    return stored.running_on(TorchEngine(stored.tower(), stored.settings), stored.chosen(product))


def read(folder: Path) -> StoredModel:
    """Read a model without loading torch; the errors of `load`, but that it knows no product of that name."""
    sums, numbers = opened(folder)
    try:
        with safe_open(folder / TENSORS, framework="numpy") as file:
            names = [name for name in file.keys() if not name.startswith((_TOWER, _HEAD))]  # noqa: SIM118
            tensors = {name: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise ModelCorruptError(f"{folder / TENSORS} cannot be read: {error}", TRAIN_AGAIN) from error
    try:
        settings = _profile(numbers["settings"])
        return StoredModel(
            folder=folder,
            model_id=id_of(settings.name, sums),
            settings=settings,
            shapes=tuple(_shape(table) for table in numbers["heads"]),
            members=tuple(int(table["members"]) for table in numbers["heads"]),
            products=tuple(_product(index, table, tensors) for index, table in enumerate(numbers["products"])),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelCorruptError(f"the model in {folder} lacks or misstates {error}", TRAIN_AGAIN) from error


def products_of(folder: Path) -> list[str]:
    """Return the names of the products that a model knows; the same errors as `load`."""
    _, numbers = opened(folder)
    try:
        return [str(table["name"]) for table in numbers["products"]]
    except (KeyError, TypeError) as error:
        raise ModelCorruptError(f"the model in {folder} lacks or misstates {error}", TRAIN_AGAIN) from error


def _torch_tensors(folder: Path, prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield the torch tensors whose names begin so, without what they begin with."""
    with safe_open(folder / TENSORS, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118 - no mapping
            if name.startswith(prefix):
                yield name.removeprefix(prefix), file.get_tensor(name)


def _contents(trained: TrainedModel) -> dict[str, bytes]:
    tensors = {f"{_TOWER}{name}": np.asarray(values, order="C") for name, values in trained.tower.items()}
    for ensemble in trained.ensembles:
        tensors |= {f"{_HEAD}{name}": values for name, values in ensemble.tensors().items()}
    for index, product in enumerate(trained.products):
        views = {str(number): view for number, view in enumerate(product.views)}
        if product.crops is not None:
            views[_CROPS] = product.crops.view
        for name, view in views.items():
            tensors[f"{_BANK}{index}.{name}"] = view.bank.rows
            tensors[f"{_EXPECTED}{index}.{name}"] = view.expected
            if view.bank.sources is not None and product.gallery is not None:
                tensors[f"{_SOURCE}{index}.{name}"] = view.bank.sources
        for number, jpeg in enumerate(product.gallery.jpegs if product.gallery is not None else ()):
            tensors[f"{_GOLDEN}{index}.{number}"] = np.frombuffer(jpeg, dtype=np.uint8)
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
        TENSORS: save_tensors(tensors),
        NUMBERS: tomli_w.dumps(numbers).encode(),
        CARD: model_card(numbers).encode(),
    }


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


def _product(index: int, table: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> Product:
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


def _view(lens: dict[str, Any], name: str, tensors: dict[str, NDArray[Any]]) -> View:
    bank = Bank(tensors.pop(f"{_BANK}{name}"), tensors.pop(f"{_SOURCE}{name}", None))
    return View(Lens(**lens), bank, tensors.pop(f"{_EXPECTED}{name}"))


def _gallery(index: int, table: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> Gallery:
    names = tuple(str(name) for name in table["names"])
    jpegs = tuple(tensors.pop(f"{_GOLDEN}{index}.{number}").tobytes() for number in range(len(names)))
    return Gallery(names, jpegs, int(table["pictures"]))


def _shape(table: dict[str, Any]) -> HeadShape:
    return HeadShape(table["kind"], tuple(table["channels"]), table["patch"], table["width"], table["prompts"])


def _profile(table: dict[str, Any]) -> Profile:
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    return Profile(**fields)


def _calibration(table: dict[str, Any]) -> Calibration:
    knots = tuple((float(raw), float(score)) for raw, score in table["knots"])
    held_out = tuple(float(raw) for raw in table["held_out"])
    return Calibration(**{**table, "knots": knots, "held_out": held_out})
