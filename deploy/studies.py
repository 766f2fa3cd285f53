"""`linewarden bench ablation`, `attention` and `marginal`: what each ingredient brings, what few pictures are worth."""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from rich.table import Table

from detector.evaluation.evaluate import evaluate
from detector.model.artifact import load
from detector.model.backbone.weights import RANDOM
from detector.model.head_shape import PROMPT, REFINER
from detector.model.profiles import EDGE, LITE, LITE_PYRAMID, Profile
from detector.pictures.sets import list_good
from detector.training.fit import train

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from detector.evaluation.report import EvaluationReport
    from detector.model.base import Model
    from detector.model.patch_model import PatchModel

# Bank, prompt and refiner: their shares of the map and of the score.
_INGREDIENTS = {
    "prompt only": ((0.0, 1.0, 0.0), (0.0, 1.0, 0.0)),
    "bank only": ((1.0, 0.0, 0.0), (1.0, 0.0, 0.0)),
    "bank and prompt": ((0.5, 0.5, 0.0), (0.5, 0.5, 0.0)),
    "refiner only": ((0.0, 0.0, 1.0), (0.0, 0.0, 1.0)),
    "bank and refiner": ((0.25, 0.0, 0.75), (0.6, 0.0, 0.4)),
    "all three": ((0.2, 0.2, 0.6), (0.5, 0.2, 0.3)),
}
_WITH_PROMPT = replace(
    LITE_PYRAMID,
    name="lite-pyramid-ablation",
    heads=(PROMPT, REFINER),
    shares_of_place=_INGREDIENTS["bank and refiner"][0],
    shares_of_score=_INGREDIENTS["bank and refiner"][1],
)
_WITH_CROPS = replace(LITE, name="lite-crop-ablation", crop_side_px=256)
_COARSE, _CROPS = "bank at 256 px", "bank at 256 px, and crops"
_VIT_INGREDIENTS = {"bank": (1.0, 0.0), "prompt": (0.0, 1.0), "both": EDGE.shares_of_place}
# Fewer spoilt pictures than `edge` learns from: on two cores a ViT takes minutes for a hundred of them.
_VIT = replace(EDGE, name="edge-study", head_pictures=200, head_steps=300)
# As many of ViT-B-16's 12 blocks as of ViT-L's 24 in `paper-518-vv`.
_ATTENTION = {
    "as trained": _VIT,
    "value-to-value from block 3": replace(_VIT, name="edge-study-vv", value_attention_from=3),
}
_ALL = 10**9


@dataclass(frozen=True, slots=True)
class StudyRow:
    """One way to train or to look, on one set with one seed; `seconds` is the time of a picture in this run."""

    way: str
    category: str
    seed: int
    image_auroc: float
    pixel_auroc: float
    pixel_ap: float
    aupro_03: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Study:
    """All rows of a study; `title` says of what, `ways` in which order, the `baseline` has the time 1."""

    title: str
    ways: tuple[str, ...]
    baseline: str
    rows: tuple[StudyRow, ...]

    def table(self) -> Table:
        """Return image AUROC / pixel AP of each set, mean and standard deviation over seeds, and the relative time."""
        seeds = len({row.seed for row in self.rows})
        table = Table(title=self.title, caption=f"Image AUROC / pixel AP, {seeds} seed(s). Time relative in this run.")
        table.add_column("")
        categories = list(dict.fromkeys(row.category for row in self.rows))
        for category in categories:
            table.add_column(category, justify="right")
        table.add_column("time", justify="right")
        for way in self.ways:
            cells = [
                f"{self._cell(way, name, 'image_auroc')} / {self._cell(way, name, 'pixel_ap')}" for name in categories
            ]
            table.add_row(way, *cells, f"{self._seconds(way) / self._seconds(self.baseline):.2f}")
        return table

    def to_json(self) -> dict[str, Any]:
        """Return every row, JSON-ready."""
        return {"title": self.title, "baseline": self.baseline, "rows": [asdict(row) for row in self.rows]}

    def _cell(self, way: str, category: str, figure: str) -> str:
        values = [getattr(row, figure) for row in self.rows if row.way == way and row.category == category]
        spread = f" +-{statistics.stdev(values):.3f}" if len(values) > 1 else ""
        return f"{statistics.fmean(values):.3f}{spread}"

    def _seconds(self, way: str) -> float:
        return statistics.fmean(row.seconds for row in self.rows if row.way == way)


def ablation(
    folders: Sequence[Path], *, unified: bool, seeds: int, on_progress: Callable[[str, int, int], None]
) -> Study:
    """Train with every ingredient, one model a set or one for all, and look with some of them at a time.

    Crops are measured on a coarse look: at `lite-pyramid`'s magnifications these sets hold nothing finer to look at.
    """
    rows = []
    groups = [list(folders)] if unified else [[folder] for folder in folders]
    for seed in range(seeds):
        for group in groups:
            for profile in (_WITH_CROPS, _WITH_PROMPT):
                for folder, model in _trained(group, profile, seed, None, on_progress):
                    for way, variant in _variants(model).items():
                        rows.append(_row(way, seed, folder, variant))
                        on_progress(f"{folder.name}: {way}", 1, 1)
    kind = "one model for all sets" if unified else "one model a set"
    return Study(f"Ingredients of `lite-pyramid`, {kind}", (_COARSE, _CROPS, *_INGREDIENTS), "bank only", tuple(rows))


def attention(
    folders: Sequence[Path], *, weights: str, seeds: int, on_progress: Callable[[str, int, int], None]
) -> Study:
    """Train ViT-B-16 at 256 pixels with value-to-value attention and without, and look with its bank, its prompt, both.

    `weights` are those of `read_weights`; random ones are drawn by each seed, the same for both.
    """
    rows = []
    ways = tuple(f"{head}, {kind}" for kind in _ATTENTION for head in _VIT_INGREDIENTS)
    for seed in range(seeds):
        for folder in folders:
            for kind, profile in _ATTENTION.items():
                torch.manual_seed(seed)
                for _, model in _trained([folder], profile, seed, weights, on_progress):
                    for head, shares in _VIT_INGREDIENTS.items():
                        rows.append(_row(f"{head}, {kind}", seed, folder, model.with_shares(shares, shares)))
                        on_progress(f"{folder.name}: {head}, {kind}", 1, 1)
    name = "random weights" if weights == RANDOM else Path(weights).name
    return Study(f"ViT-B-16 with {name}", ways, ways[0], tuple(rows))


def _trained(
    group: Sequence[Path],
    profile: Profile,
    seed: int,
    weights: str | None,
    on_progress: Callable[[str, int, int], None],
) -> Iterator[tuple[Path, PatchModel]]:
    """Train one model on some sets; yield each of them with the model, as a line would load it."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "model"
        train(group, profile=profile, seed=seed, on_progress=on_progress, weights=weights).save(out)
        for folder in group:
            yield folder, load(out, folder.resolve().name)


def _variants(model: PatchModel) -> dict[str, PatchModel]:
    if model.settings.heads:
        return {way: model.with_shares(*shares) for way, shares in _INGREDIENTS.items()}
    return {_COARSE: model.without_crops(), _CROPS: model}


def marginal(
    folders: Sequence[Path],
    *,
    profile: str,
    counts: Sequence[int],
    seeds: int,
    on_progress: Callable[[str, int, int], None],
) -> Study:
    """Train on a few good pictures, drawn by each seed anew, and on all of them; measure on the whole test set."""
    rows = []
    wanted = (*sorted(counts), _ALL)
    for folder in folders:
        good = list_good(folder)
        for count in wanted:
            for seed in range(seeds):
                drawn = np.sort(np.random.default_rng([seed, count]).permutation(len(good))[:count])
                with tempfile.TemporaryDirectory() as scratch:
                    few = Path(scratch) / folder.resolve().name
                    (few / "train" / "good").mkdir(parents=True)
                    for index in drawn.tolist():
                        (few / "train" / "good" / good[index].name).symlink_to(good[index].resolve())
                    train([few], profile=profile, seed=seed, on_progress=_silent).save(Path(scratch) / "model")
                    rows.append(_row(_name(count), seed, folder, load(Path(scratch) / "model")))
                on_progress(f"{folder.name}, {_name(count)}", seed + 1, seeds)
    ways = tuple(_name(count) for count in wanted)
    return Study(f"Good pictures that `{profile}` is trained on", ways, _name(_ALL), tuple(rows))


def _name(count: int) -> str:
    return "all" if count == _ALL else str(count)


def _row(way: str, seed: int, folder: Path, model: Model) -> StudyRow:
    before = time.perf_counter()
    report: EvaluationReport = evaluate(folder, model)
    seconds = (time.perf_counter() - before) / (report.good_pictures + report.defective_pictures)
    return StudyRow(
        way=way,
        category=report.category,
        seed=seed,
        image_auroc=report.image_auroc,
        pixel_auroc=report.pixel_auroc or 0.0,
        pixel_ap=report.pixel_ap or 0.0,
        aupro_03=report.aupro_03 or 0.0,
        seconds=seconds,
    )


def _silent(_step: str, _done: int, _total: int) -> None:
    """Report nothing."""
