"""`linewarden bench crops`: what a second look at full resolution finds that a model's own size does not show."""

from __future__ import annotations

import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from rich.table import Table

from detector.evaluation.evaluate import evaluate
from detector.model.artifact import load
from detector.model.profiles import LITE, LITE_CROP
from detector.pictures.files import read_picture, write_picture
from detector.training.fit import train
from detector.training.synthesis.foreground import find_foreground
from ingest.rendering.conveyor import ConveyorSettings, write_dataset

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from detector.evaluation.report import EvaluationReport
    from detector.model.base import Model

_WIDTH_PX, _HEIGHT_PX = 1280, 1024
_COARSE_ALONE = replace(LITE_CROP, name="lite-crop without crops", crop_side_px=0)
_LINE_PX = 2
_DARKER_LEVELS = 60.0
_SOFT_PX = 0.6
# Scratches keep so far from the part's rim and its bores, which are black already.
_RIM_PX = 24


@dataclass(frozen=True, slots=True)
class CropRow:
    """One way to look at the same pictures; `relative_time` is its time a picture over that of `lite`."""

    look: str
    image_auroc: float
    pixel_ap: float
    missed: int
    defective: int
    false_rejects: int
    good: int
    relative_time: float


@dataclass(frozen=True, slots=True)
class CropFigures:
    """Both ways, and how long the scratches were."""

    scratch_px: int
    rows: tuple[CropRow, ...]

    def table(self) -> Table:
        """Return the figures side by side."""
        table = Table(title=f"Scratches of {self.scratch_px} px in frames of {_WIDTH_PX}x{_HEIGHT_PX}")
        for heading in ("look", "image AUROC", "pixel AP", "missed", "false rejects", "time"):
            table.add_column(heading, justify="left" if heading == "look" else "right")
        for row in self.rows:
            table.add_row(
                row.look,
                f"{row.image_auroc:.3f}",
                f"{row.pixel_ap:.3f}",
                f"{row.missed} of {row.defective}",
                f"{row.false_rejects} of {row.good}",
                f"{row.relative_time:.2f}",
            )
        return table

    def to_json(self) -> dict[str, Any]:
        """Return every figure, JSON-ready."""
        return asdict(self)


def bench_crops(
    *, good: int, each: int, scratch_px: int, seed: int, on_progress: Callable[[str, int, int], None]
) -> CropFigures:
    """Train `lite`, and `lite-crop` without crops and with, on `good` rendered frames; measure all on the same others.

    Each has its own calibration. There are `each` good and `each` scratched frames to test on.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "parts"
        write_frames(folder, good=good, each=each, scratch_px=scratch_px, seed=seed)
        rows = []
        coarse_s = 0.0
        for profile in (LITE, _COARSE_ALONE, LITE_CROP):
            out = Path(scratch) / profile.name
            train([folder], profile=profile, seed=seed, on_progress=on_progress).save(out)
            report, seconds = _timed(folder, load(out))
            coarse_s = coarse_s or seconds
            rows.append(_row(profile.name, report, seconds / coarse_s))
    return CropFigures(scratch_px, tuple(rows))


def write_frames(folder: Path, *, good: int, each: int, scratch_px: int, seed: int) -> None:
    """Write a set of rendered frames: `good` to train on, `each` good ones and `each` scratched ones to test on."""
    settings = ConveyorSettings(seed=seed, width_px=_WIDTH_PX, height_px=_HEIGHT_PX, defect_rate=0.0, defects=())
    write_dataset(
        folder, settings, train_good=good, test_good=2 * each, test_each_defect=0, on_progress=lambda _done: None
    )
    rng = np.random.default_rng(seed)
    for place in ("test", "ground_truth"):
        (folder / place / "scratch").mkdir(parents=True)
    for index, path in enumerate(sorted((folder / "test" / "good").iterdir())[each:]):
        picture, mask = draw_scratch(read_picture(path), scratch_px, rng)
        path.unlink()
        write_picture(folder / "test" / "scratch" / f"{index:03d}.png", picture)
        write_picture(folder / "ground_truth" / "scratch" / f"{index:03d}_mask.png", mask)


def draw_scratch(
    picture: NDArray[np.uint8], length_px: int, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return a picture (H, W, 3) uint8 with a scratch on the product, and its mask of the same shape, 0 or 255."""
    bright = find_foreground(picture) & (cv2.GaussianBlur(picture, (0, 0), 3.0).mean(axis=2) > 1.5 * _DARKER_LEVELS)
    inner = cv2.erode(bright.astype(np.uint8), np.ones((2 * _RIM_PX + 1, 2 * _RIM_PX + 1), np.uint8))
    spots = np.flatnonzero(inner)
    row, column = divmod(int(spots[rng.integers(spots.size)]), picture.shape[1])
    angle = float(rng.uniform(0.0, np.pi))
    half = np.array([np.cos(angle), np.sin(angle)]) * length_px / 2
    start, end = (np.rint(np.array([column, row]) + side * half).astype(int) for side in (-1, 1))
    line = np.zeros(picture.shape[:2], dtype=np.float32)
    cv2.line(line, (int(start[0]), int(start[1])), (int(end[0]), int(end[1])), 1.0, _LINE_PX, cv2.LINE_AA)
    soft = cv2.GaussianBlur(line, (0, 0), _SOFT_PX)
    darker = np.clip(picture.astype(np.float32) - _DARKER_LEVELS * soft[..., None], 0, 255)
    return np.asarray(np.rint(darker), dtype=np.uint8), np.repeat(
        np.where(line > 0, 255, 0).astype(np.uint8)[..., None], 3, axis=2
    )


def _timed(folder: Path, model: Model) -> tuple[EvaluationReport, float]:
    before = time.perf_counter()
    report = evaluate(folder, model)
    return report, time.perf_counter() - before


def _row(look: str, report: EvaluationReport, relative_time: float) -> CropRow:
    return CropRow(
        look=look,
        image_auroc=report.image_auroc,
        pixel_ap=report.pixel_ap or 0.0,
        missed=report.missed,
        defective=report.defective_pictures,
        false_rejects=report.false_rejects,
        good=report.good_pictures,
        relative_time=relative_time,
    )
