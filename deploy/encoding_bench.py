"""`linewarden bench encoding`: what JPEG costs a model's accuracy, and what each encoding costs in bytes and time."""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table

from deploy.machine import machine_facts
from deploy.sent_pictures import SentModel, Way
from detector.evaluation.evaluate import DEFAULT_THRESHOLD, evaluate
from detector.model.artifact import load, products_of
from detector.training.fit import train
from shared.wire import Encoding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from detector.model.base import Model

QUALITIES: Final = (50, 60, 70, 75, 80, 85, 90, 92, 95, 98, 100)
MOST_AUROC: Final = 0.002
MOST_AP: Final = 0.005


WAYS: Final = (Way(Encoding.RAW), Way(Encoding.PNG), *(Way(Encoding.JPEG, quality) for quality in QUALITIES))


@dataclass(frozen=True, slots=True)
class EncodingRow:
    """One set, looked at by one model, sent in one way.

    `changed_good` and `changed_defects` are the shares of parts that are decided otherwise than on raw pixels, at
    `reject_at`; `picture_bytes` is the mean, `encode_ms` and `decode_ms` the medians over the set's pictures.
    """

    category: str
    seed: int
    way: str
    image_auroc: float
    pixel_ap: float
    auroc_change: float
    ap_change: float
    changed_good: float
    changed_defects: float
    picture_bytes: float
    encode_ms: float
    decode_ms: float

    @property
    def costs_nothing(self) -> bool:
        """Return whether accuracy stays within the criterion."""
        return abs(self.auroc_change) <= MOST_AUROC and abs(self.ap_change) <= MOST_AP


@dataclass(frozen=True, slots=True)
class EncodingFigures:
    """All ways on all sets."""

    profile: str
    reject_at: float
    rows: tuple[EncodingRow, ...]

    @property
    def lowest_quality(self) -> int | None:
        """Return the JPEG quality from which on accuracy costs nothing on any set, with any model; None for none."""
        found = None
        for quality in reversed(QUALITIES):
            way = Way(Encoding.JPEG, quality).name
            if not all(row.costs_nothing for row in self.rows if row.way == way):
                break
            found = quality
        return found

    def table(self) -> Table:
        """Return the figures for people: of several models the changes that are farthest from none."""
        models = len({row.seed for row in self.rows})
        table = Table(
            title=f"`{self.profile}` on frames as they are sent, {models} model(s) a set, reject_at {self.reject_at}",
            caption=self.verdict(),
            title_justify="left",
        )
        for heading in ("set", "sent as", "AUROC", "change", "pixel AP", "change", "good decided otherwise"):
            table.add_column(heading, justify="right")
        for heading in ("defects", "KB", "encode ms", "decode ms"):
            table.add_column(heading, justify="right")
        for (category, way), rows in self._by_way():
            table.add_row(
                category,
                way,
                f"{statistics.fmean(row.image_auroc for row in rows):.3f}",
                f"{max((row.auroc_change for row in rows), key=abs):+.4f}",
                f"{statistics.fmean(row.pixel_ap for row in rows):.3f}",
                f"{max((row.ap_change for row in rows), key=abs):+.4f}",
                f"{max(row.changed_good for row in rows):.1%}",
                f"{max(row.changed_defects for row in rows):.1%}",
                f"{rows[0].picture_bytes / 1_000:.1f}",
                f"{statistics.median(row.encode_ms for row in rows):.2f}",
                f"{statistics.median(row.decode_ms for row in rows):.2f}",
            )
        return table

    def verdict(self) -> str:
        """Return which quality costs nothing, and by which criterion."""
        criterion = f"AUROC within {MOST_AUROC} and pixel AP within {MOST_AP} of raw pixels' on every set"
        if self.lowest_quality is None:
            return f"No JPEG quality keeps {criterion}: send png."
        return f"From quality {self.lowest_quality} on JPEG keeps {criterion}."

    def to_json(self) -> dict[str, Any]:
        """Return every figure, JSON-ready."""
        return {
            "profile": self.profile,
            "reject_at": self.reject_at,
            "lowest_quality": self.lowest_quality,
            "verdict": self.verdict(),
            "rows": [asdict(row) for row in self.rows],
            "machine": machine_facts(),
        }

    def _by_way(self) -> Iterator[tuple[tuple[str, str], list[EncodingRow]]]:
        keys = dict.fromkeys((row.category, row.way) for row in self.rows)
        for category, way in keys:
            yield (category, way), [row for row in self.rows if (row.category, row.way) == (category, way)]


def bench_encoding(
    folders: Sequence[Path],
    *,
    profile: str,
    model: Path | None,
    seeds: int,
    reject_at: float = DEFAULT_THRESHOLD,
    ways: Sequence[Way] = WAYS,
    on_progress: Callable[[str, int, int], None],
) -> EncodingFigures:
    """Train a model on each set's good pictures as they are, or take the one given; measure it on all `ways`.

    The first of the ways is what the others are compared with.
    """
    rows: list[EncodingRow] = []
    looking = profile
    for seed in range(1 if model is not None else seeds):
        for folder in folders:
            loaded = _load(folder, model) if model is not None else _trained(folder, profile, seed, on_progress)
            looking = loaded.profile
            rows += _rows(folder, loaded, seed, reject_at, ways, on_progress)
    return EncodingFigures(looking, reject_at, tuple(rows))


def _rows(
    folder: Path,
    model: Model,
    seed: int,
    reject_at: float,
    ways: Sequence[Way],
    on_progress: Callable[[str, int, int], None],
) -> Iterator[EncodingRow]:
    first: tuple[float, float, list[bool]] | None = None
    for number, way in enumerate(ways, start=1):
        sent = SentModel(model, way)
        report = evaluate(folder, sent, threshold=reject_at)
        rejected = [score >= reject_at for score in sent.scores]
        pixel_ap = report.pixel_ap or 0.0
        first = first or (report.image_auroc, pixel_ap, rejected)
        # Good pictures come first.
        changed = [one != other for one, other in zip(rejected, first[2], strict=True)]
        good, defects = changed[: report.good_pictures], changed[report.good_pictures :]
        on_progress(f"{report.category}, seed {seed}", number, len(ways))
        yield EncodingRow(
            category=report.category,
            seed=seed,
            way=way.name,
            image_auroc=report.image_auroc,
            pixel_ap=pixel_ap,
            auroc_change=report.image_auroc - first[0],
            ap_change=pixel_ap - first[1],
            changed_good=statistics.fmean(good),
            changed_defects=statistics.fmean(defects),
            picture_bytes=statistics.fmean(sent.sizes_bytes),
            encode_ms=statistics.median(sent.encode_ms),
            decode_ms=statistics.median(sent.decode_ms),
        )


def _load(folder: Path, model: Path) -> Model:
    return load(model, folder.resolve().name if len(products_of(model)) > 1 else None)


def _trained(folder: Path, profile: str, seed: int, on_progress: Callable[[str, int, int], None]) -> Model:
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "model"
        train([folder], profile=profile, seed=seed, on_progress=on_progress).save(out)
        return load(out)
