"""`linewarden compare`: this system and anomalib's on the same pictures, trunk weights and size, in one run."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from rich.table import Table
from safetensors.torch import save_file

from detector.evaluation.evaluate import evaluate
from detector.evaluation.recorded import Content, RecordedModel
from detector.model.artifact import load
from detector.model.backbone.weights import PACKAGED_TOWER, read_weights
from detector.model.lens import Size, lenses_for
from detector.model.profiles import profile_named
from detector.pictures.files import read_picture
from detector.pictures.labelled import GOOD
from detector.pictures.sets import list_good, list_test
from detector.training.fit import train
from shared.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from rich.console import Console

    from detector.evaluation.report import EvaluationReport
    from detector.model.base import Model

OURS = "linewarden"
PEERS = ("patchcore", "padim")
_FIGURES = {"image_auroc": "image AUROC", "pixel_auroc": "pixel AUROC", "pixel_ap": "pixel AP", "aupro_03": "AUPRO@0.3"}
# PatchCore's coreset takes and gives back some 30 MB thousands of times. Below the heap's moving limit the small blocks
# that it keeps would come to lie between them, and the heap would grow until the machine is out of memory.
_HEAP = {"MALLOC_MMAP_THRESHOLD_": str(2**20)}
_RUNNER = Path(__file__).parent / "peers" / "anomalib_runner.py"
_REMEDY = "Run `make compare`, which makes an environment that has it."
# The coarsest stage of the trunk has one value for 32 pixels; a canvas that it divides is never padded once more.
_MULTIPLE_PX = 32
_MOST_OBLONG = 4.0
# What the trunk's weights were trained with, in steps of 0..255.
_MEAN = 127.0
_STD = 128.0


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One system on one set with one seed; the four figures are in 0..1."""

    system: str
    category: str
    seed: int
    image_auroc: float
    pixel_auroc: float
    pixel_ap: float
    aupro_03: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """All rows of a comparison; the canvas that the peers saw of each set, (height, width) in px; their version."""

    rows: tuple[ComparisonRow, ...]
    canvases: dict[str, tuple[int, int]]
    anomalib: str

    def mean(self, system: str, figure: str, category: str | None = None) -> float:
        """Return the mean over seeds of one set, or of the mean over all sets."""
        return statistics.fmean(self._by_seed(system, figure, category))

    def spread(self, system: str, figure: str, category: str | None = None) -> float:
        """Return the standard deviation over seeds of what `mean` averages; 0 of a single seed."""
        values = self._by_seed(system, figure, category)
        return statistics.stdev(values) if len(values) > 1 else 0.0

    def table(self) -> Table:
        """Return mean and spread of each figure, for each set and over all sets."""
        sizes = ", ".join(f"{name} {width}x{height}" for name, (height, width) in self.canvases.items())
        seeds = len({row.seed for row in self.rows})
        taken = f"Mean +- standard deviation of {seeds} seeds" if seeds > 1 else "One seed"
        caption = f"{taken}. The canvas of anomalib {self.anomalib}, in pixels: {sizes}."
        table = Table(title="The same pictures, trunk weights and size", caption=caption)
        table.add_column("set", no_wrap=True)
        table.add_column("system", no_wrap=True)
        for heading in _FIGURES.values():
            table.add_column(heading, justify="right")
        for category in (*self.canvases, None):
            for system in (OURS, *PEERS):
                table.add_row(category or "mean", system, *(self._cell(system, name, category) for name in _FIGURES))
            table.add_section()
        return table

    def to_json(self) -> dict[str, Any]:
        """Return every row, and each system's mean and spread over all sets, JSON-ready."""
        return {
            "anomalib": self.anomalib,
            "canvases": {name: {"height_px": size[0], "width_px": size[1]} for name, size in self.canvases.items()},
            "means": {system: {name: self.mean(system, name) for name in _FIGURES} for system in (OURS, *PEERS)},
            "spreads": {system: {name: self.spread(system, name) for name in _FIGURES} for system in (OURS, *PEERS)},
            "rows": [asdict(row) for row in self.rows],
        }

    def _cell(self, system: str, figure: str, category: str | None) -> str:
        mean = f"{self.mean(system, figure, category):.3f}"
        several = len({row.seed for row in self.rows}) > 1
        return f"{mean} +-{self.spread(system, figure, category):.3f}" if several else mean

    def _by_seed(self, system: str, figure: str, category: str | None) -> list[float]:
        rows = [row for row in self.rows if row.system == system and category in {None, row.category}]
        seeds = sorted({row.seed for row in rows})
        return [statistics.fmean(getattr(row, figure) for row in rows if row.seed == seed) for seed in seeds]


def compare(folders: Sequence[Path], *, profile: str, seeds: int, peers: Path, console: Console) -> Comparison:
    """Train and measure all systems on every set, with the seeds 0 to `seeds` - 1.

    `peers` is an interpreter that has anomalib. Its models see each set at the finest magnification that ours does, and
    their maps go through the same metrics; PatchCore keeps as many patches as ours in a view. ConfigError says what the
    interpreter or a set lacks, before any work.
    """
    version = anomalib_version(peers)
    coreset = profile_named(profile).bank_size
    _check_sets(folders)
    rows: list[ComparisonRow] = []
    canvases: dict[str, tuple[int, int]] = {}
    with console.status("Comparing ...") as status:
        for folder in folders:
            name = folder.resolve().name
            with tempfile.TemporaryDirectory() as scratch:
                canvases[name], contents = write_tensors(folder, _finest_side(folder, profile), Path(scratch))
                for seed in range(seeds):
                    for system in (OURS, *PEERS):
                        status.update(f"{name}, seed {seed}: {system}")
                        model: Model
                        if system == OURS:
                            model = _train(folder, profile, seed, Path(scratch) / f"model-{seed}")
                        else:
                            model = run_peer(peers, Path(scratch), system, seed, coreset, contents)
                        row = _row(system, seed, evaluate(folder, model))
                        rows.append(row)
                        console.print(f"{name}, seed {seed}, {system}: {row.image_auroc:.3f} / {row.pixel_ap:.3f}")
    return Comparison(tuple(rows), canvases, version)


def _finest_side(folder: Path, profile: str) -> int:
    sizes = [Size(*read_picture(path).shape[:2]) for path in list_good(folder)]
    return lenses_for(sizes, profile_named(profile))[-1].side_px


def write_tensors(folder: Path, side_px: int, scratch: Path) -> tuple[tuple[int, int], list[Content]]:
    """Write what the peers read to `scratch`; return the canvas, (height, width), and what each test picture covers."""
    good = list_good(folder)
    canvas = canvas_for([read_picture(path).shape[:2] for path in good], side_px)
    write_trunk(scratch)
    write_pictures(scratch / "train.npy", good, canvas)
    return canvas, write_pictures(scratch / "test.npy", [file.path for file in list_test(folder)], canvas)


def write_trunk(scratch: Path) -> None:
    """Write the trunk's weights under timm's names."""
    trunk = read_weights(PACKAGED_TOWER).tensors
    save_file(
        {name.removeprefix("trunk."): tensor.contiguous() for name, tensor in trunk.items()},
        scratch / "trunk.safetensors",
    )


def canvas_for(pictures: Sequence[tuple[int, ...]], side_px: int) -> tuple[int, int]:
    """Return (height, width), about `side_px` squared in area, in the median aspect ratio of the (height, width) given.

    Both sides are multiples of 32 px.
    """
    aspect = float(np.median([width / height for height, width in pictures]))
    aspect = min(max(aspect, 1 / _MOST_OBLONG), _MOST_OBLONG)
    height = max(1, round(side_px / aspect**0.5 / _MULTIPLE_PX)) * _MULTIPLE_PX
    width = max(1, round(side_px * aspect**0.5 / _MULTIPLE_PX)) * _MULTIPLE_PX
    return height, width


def write_pictures(out: Path, paths: Sequence[Path], canvas: tuple[int, int]) -> list[Content]:
    """Write the pictures as one array (N, 3, H, W) float32, as the trunk wants them; return what each one covers."""
    rows = np.lib.format.open_memmap(out, mode="w+", dtype=np.float32, shape=(len(paths), 3, *canvas))
    contents = []
    for row, path in zip(rows, paths, strict=True):
        placed, content = place(read_picture(path), canvas)
        row[:] = (placed.transpose(2, 0, 1).astype(np.float32) - _MEAN) / _STD
        contents.append(content)
    rows.flush()
    return contents


def place(picture: NDArray[np.uint8], canvas: tuple[int, int]) -> tuple[NDArray[np.uint8], Content]:
    """Fit a picture (h, w, 3) to the top left of a canvas (H, W), its aspect ratio kept.

    The padding repeats the picture's last row and column, so that the picture's border is no edge to the trunk.
    """
    height_px, width_px = picture.shape[:2]
    scale = min(canvas[0] / height_px, canvas[1] / width_px)
    content = Content(max(1, round(height_px * scale)), max(1, round(width_px * scale)))
    how = cv2.INTER_AREA if scale <= 1 else cv2.INTER_LINEAR
    small = cv2.resize(picture, (content.width_px, content.height_px), interpolation=how)
    below, right = canvas[0] - content.height_px, canvas[1] - content.width_px
    whole = cv2.copyMakeBorder(small, 0, below, 0, right, cv2.BORDER_REPLICATE)
    return np.asarray(whole, dtype=np.uint8), content


def run_peer(
    python: Path, scratch: Path, method: str, seed: int, coreset: int, contents: Sequence[Content]
) -> RecordedModel:
    """Run one of anomalib's methods on what `write_tensors` wrote; ConfigError gives the last line of its complaint."""
    done = subprocess.run(
        [str(python), str(_RUNNER), str(scratch), method, str(seed), str(coreset)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **_HEAP},
    )
    if done.returncode < 0:
        raise ConfigError(f"anomalib's {method} was killed by signal {-done.returncode}", "Give it more memory.")
    if done.returncode:
        raise ConfigError(f"anomalib's {method} failed: {_last_line(done.stderr)}", _REMEDY)
    return RecordedModel(
        method, np.load(scratch / f"{method}-maps.npy"), np.load(scratch / f"{method}-scores.npy"), contents
    )


def _train(folder: Path, profile: str, seed: int, out: Path) -> Model:
    """Measure what a line would run: the saved model, read again."""
    train([folder], profile=profile, seed=seed).save(out)
    return load(out)


def anomalib_version(python: Path) -> str:
    """Return the version that an interpreter has; ConfigError says what it lacks."""
    ask = "import anomalib, importlib.metadata; print(importlib.metadata.version('anomalib'))"
    try:
        done = subprocess.run([str(python), "-c", ask], capture_output=True, text=True, check=False)
    except OSError as error:
        raise ConfigError(f"{python} cannot be run: {error.strerror}", _REMEDY) from None
    if done.returncode:
        raise ConfigError(f"{python} cannot run anomalib: {_last_line(done.stderr)}", _REMEDY)
    return _last_line(done.stdout)


def _check_sets(folders: Sequence[Path]) -> None:
    names = [folder.resolve().name for folder in folders]
    for folder, name in zip(folders, names, strict=True):
        if names.count(name) > 1:
            raise ConfigError(f"two sets are called {name!r}", "Give sets whose folders have different names.")
        list_good(folder)
        if any(file.mask_path is None and file.defect != GOOD for file in list_test(folder)):
            raise ConfigError(f"{folder} has no masks", "Compare on sets that have ground truth.")


def _row(system: str, seed: int, report: EvaluationReport) -> ComparisonRow:
    if report.pixel_auroc is None or report.pixel_ap is None or report.aupro_03 is None:
        raise AssertionError("a set without masks is refused before the work")
    return ComparisonRow(
        system, report.category, seed, report.image_auroc, report.pixel_auroc, report.pixel_ap, report.aupro_03
    )


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[-1]
