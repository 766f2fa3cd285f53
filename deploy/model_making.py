"""Training, evaluation and rendering with progress bars."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from shared.domain import Effort
from shared.errors import ConfigError, EngineError

if TYPE_CHECKING:
    from detector.evaluation.report import EvaluationReport
    from detector.export.gate import Parity
    from detector.model.threshold import ThresholdAdvice

_PREVIEWED = 24


def progress_bar(console: Console) -> Progress:
    """Return the bar that all long work shows."""
    return Progress(
        TextColumn("{task.description:<22}"),
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


def train_model(
    folders: Sequence[Path],
    *,
    profile: str,
    seed: int,
    out: Path,
    overwrite: bool,
    console: Console,
    weights: str | None = None,
    exported: bool = True,
) -> str:
    """Train one model on MVTec-layout folders, write the artifact to `out`, and return the model id.

    With `exported` it is exported for OpenVINO in float32 too, which every x86-64 runs the faster way.

    What was learnt so far is kept beside `out` until the artifact is written: the same training goes on from there.
    """
    with needs_extra("detector"):
        from detector.model.artifact_files import refuse_to_lose
        from detector.model.calibration import MINIMUM_PICTURES
        from detector.runtime.blas import limit_threads
        from detector.training.checkpoints import Checkpoints
        from detector.training.fit import train
    refuse_to_lose(out.absolute(), overwrite=overwrite)
    # The cores are torch's: two pools of threads wait for each other (26 s against 22 for 80 pictures).
    limit_threads(1)
    checkpoints = Checkpoints(out.absolute().parent / f".{out.name}.training")
    with progress_bar(console) as progress:
        trained = train(
            folders,
            profile=profile,
            seed=seed,
            on_progress=step_bars(progress),
            weights=weights,
            checkpoints=checkpoints,
        )
    model_id = trained.save(out, overwrite=overwrite)
    checkpoints.remove()
    if exported:
        export_after_training(out, folders, console)
    for product in trained.products:
        if not product.calibration.known:
            console.print(
                f"{product.name}: {product.calibration.pictures} good pictures are too few to calibrate on. The model "
                f"ranks pictures, and no line runs on it; give {MINIMUM_PICTURES} at least, better 100."
            )
    return model_id


def export_model(
    model: Path, engine: str, *, good: Sequence[Path], labelled: Sequence[Path], threads: int, console: Console
) -> tuple[Parity, ...]:
    """Export a saved model for an engine, and return what its gate measured; see `export`."""
    with needs_extra("detector"):
        from detector.export.exporting import export
    with progress_bar(console) as progress:
        return export(model, engine, good=good, labelled=labelled, threads=threads, report=step_bars(progress))


def export_after_training(model: Path, folders: Sequence[Path], console: Console) -> None:
    """Export a model that was just trained for OpenVINO; where that cannot be, say why: the model runs on torch."""
    from detector.runtime.base import OPENVINO

    try:
        export_model(model, OPENVINO, good=folders, labelled=(), threads=1, console=console)
    except EngineError as error:
        console.print(f"Note: not exported for OpenVINO, so that it runs on torch: {error}")


def evaluate_model(
    folder: Path,
    model: Path,
    reject_at: float,
    console: Console,
    *,
    html: Path | None = None,
    product: str | None = None,
    effort: Effort = Effort.FULL,
) -> EvaluationReport:
    """Measure a saved model on a set's labelled pictures, and write the page `html` of what it got most wrong.

    A model of several products is asked for `product`, or for the one that has the folder's name. ConfigError for an
    `effort` that it does not know.
    """
    with needs_extra("detector"):
        from detector.evaluation.evaluate import evaluate
        from detector.evaluation.gallery import Gallery
        from detector.evaluation.page import html_page
        from detector.model.artifact import load, products_of
        from detector.model.beyond import beyond_what_is_known
    several = len(products_of(model)) > 1
    loaded = load(model, product or (folder.resolve().name if several else None)).at(effort)
    gallery = Gallery(loaded.region_level) if html is not None else None
    with progress_bar(console) as progress:
        report = evaluate(folder, loaded, on_progress=step_bars(progress), threshold=reject_at, gallery=gallery)
    if html is not None and gallery is not None:
        html.write_text(html_page(report, gallery), encoding="utf-8")
    calibration = loaded.product.calibration
    if calibration.known and (doubt := beyond_what_is_known(calibration.pictures, reject_at)) is not None:
        console.print(f"Note: {doubt}.")
    return report


def render_dataset(
    folder: Path, *, good: int, test_good: int, test_each_defect: int, seed: int, console: Console
) -> None:
    """Write rendered parts as an MVTec-layout folder."""
    with needs_extra("ingest"):
        from ingest.rendering.conveyor import ConveyorSettings, write_dataset
    settings = ConveyorSettings(seed=seed)
    with progress_bar(console) as progress:
        bar = progress.add_task("render", total=good + test_good + test_each_defect * len(settings.defects))
        try:
            write_dataset(
                folder,
                settings,
                train_good=good,
                test_good=test_good,
                test_each_defect=test_each_defect,
                on_progress=lambda done: progress.update(bar, completed=done),
            )
        except OSError as error:
            raise ConfigError(
                f"cannot write to {str(folder)!r}: {error.strerror}", "Give a folder that can be written."
            ) from None


def preview_defects(folder: Path, *, out: Path, seed: int, generators: Sequence[str], columns: int) -> None:
    """Write a contact sheet of defects made in a set's good pictures."""
    with needs_extra("detector"):
        from detector.pictures.files import read_picture, write_picture
        from detector.pictures.sets import list_good
        from detector.training.synthesis.generators import GENERATORS
        from detector.training.synthesis.preview import contact_sheet
    paths = list_good(folder)
    spread = paths[:: max(1, len(paths) // _PREVIEWED)][:_PREVIEWED]
    pictures = [read_picture(path) for path in spread]
    write_picture(
        out, contact_sheet(pictures, seed=seed, names=tuple(generators) or tuple(GENERATORS), columns=columns)
    )


def advise(model: Path, false_rejects: float, product: str | None = None) -> ThresholdAdvice:
    """Return the threshold of a saved model's product for a wanted false-reject rate."""
    with needs_extra("detector"):
        from detector.model.artifact import read
        from detector.model.threshold import advise_threshold
    return advise_threshold(read(model).chosen(product).calibration, false_rejects)


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Say which extra to install when a package of it is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"this needs the package {error.name!r}, which is not installed",
            f"Install it with: pip install 'linewarden[{extra}]'.",
        ) from None


def step_bars(progress: Progress) -> Callable[[str, int, int], None]:
    """Return what shows a step, how much of it is done and how much there is, as a bar for each step's name."""
    bars: dict[str, TaskID] = {}

    def on_progress(step: str, done: int, total: int) -> None:
        if step not in bars:
            bars[step] = progress.add_task(step, total=total)
        progress.update(bars[step], completed=done, total=total)

    return on_progress
