"""Run a model over labelled pictures, a batch in memory at a time."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from detector.evaluation.metrics import PixelCounts, aupro, rank_pixels, rank_scores
from detector.evaluation.report import MASK_RULE, DefectReport, EvaluationReport
from detector.pictures.labelled import GOOD, resize_mask
from detector.pictures.sets import list_test, read_test

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from detector.evaluation.gallery import Gallery
    from detector.model.base import Inspection, Model
    from detector.pictures.labelled import Sample

DEFAULT_THRESHOLD = 2.0
_BATCH = 8
_SIZES_NAMED = 4


@dataclass(slots=True, eq=False)
class _Tally:
    """What was seen of one kind of part so far."""

    raw_scores: list[float] = field(default_factory=list)
    rejected: int = 0
    pixels: PixelCounts = field(default_factory=PixelCounts.empty)
    masked: bool = True

    def add(self, sample: Sample, inspection: Inspection, threshold: float) -> None:
        """Count one inspected sample."""
        self.raw_scores.append(inspection.raw_score)
        self.rejected += inspection.score >= threshold
        if sample.mask is None:
            self.masked = False
            return
        values = inspection.anomaly_map.values
        mask = resize_mask(sample.mask, (values.shape[0], values.shape[1]))
        self.pixels = self.pixels + PixelCounts.of(values, mask)


def evaluate(
    folder: Path,
    model: Model,
    on_progress: Callable[[str, int, int], None] | None = None,
    *,
    threshold: float = DEFAULT_THRESHOLD,
    gallery: Gallery | None = None,
) -> EvaluationReport:
    """Inspect every test picture of a set in the MVTec-AD layout; DataError names what the folder lacks.

    A picture is rejected when its calibrated score is at least `threshold`. Nothing is fitted or normalised here. The
    worst pictures are kept in the `gallery`, if one is given.
    """
    total = len(list_test(folder))
    tallies: defaultdict[str, _Tally] = defaultdict(_Tally)
    sizes: set[tuple[int, int]] = set()
    done = 0
    for batch in _batches(read_test(folder)):
        inspections = model.inspect([sample.picture for sample in batch])
        for sample, inspection in zip(batch, inspections, strict=True):
            tallies[sample.file.defect].add(sample, inspection, threshold)
            if gallery is not None:
                gallery.add(sample, inspection, rejected=inspection.score >= threshold)
            height, width = inspection.anomaly_map.values.shape
            sizes.add((height, width))
        done += len(batch)
        if on_progress is not None:
            on_progress("evaluate", done, total)
    return _summarise(folder.resolve().name, model, tallies, sizes, threshold)


def _summarise(
    category: str,
    model: Model,
    tallies: Mapping[str, _Tally],
    sizes: set[tuple[int, int]],
    threshold: float,
) -> EvaluationReport:
    good = tallies[GOOD]
    defects = {name: tally for name, tally in tallies.items() if name != GOOD}
    everything = _Tally(masked=all(tally.masked for tally in defects.values()))
    for tally in defects.values():
        everything.raw_scores += tally.raw_scores
        everything.rejected += tally.rejected
        everything.pixels = everything.pixels + tally.pixels
    total = _against(GOOD, good, everything)
    image = rank_scores(*_labelled(good, everything))
    pixel = rank_pixels(good.pixels + everything.pixels) if everything.masked else None
    return EvaluationReport(
        category=category,
        model_id=model.model_id,
        calibration_id=model.calibration_id,
        profile=model.profile,
        good_pictures=len(good.raw_scores),
        defective_pictures=total.pictures,
        threshold=threshold,
        missed=total.missed,
        false_rejects=good.rejected,
        image_auroc=image.auroc,
        image_ap=image.average_precision,
        image_f1_max_oracle=image.f1_max_oracle,
        pixel_auroc=total.pixel_auroc,
        pixel_ap=total.pixel_ap,
        pixel_f1_max_oracle=pixel.f1_max_oracle if pixel else None,
        aupro_03=total.aupro_03,
        map_sizes=tuple(sorted(sizes)[:_SIZES_NAMED]),
        mask_rule=MASK_RULE,
        per_defect=tuple(_against(name, good, tally) for name, tally in sorted(defects.items())),
    )


def _against(name: str, good: _Tally, defective: _Tally) -> DefectReport:
    """Compare one kind of defect with the good parts."""
    pixels = good.pixels + defective.pixels
    ranking = rank_pixels(pixels) if defective.masked else None
    return DefectReport(
        defect=name,
        pictures=len(defective.raw_scores),
        image_auroc=rank_scores(*_labelled(good, defective)).auroc,
        pixel_auroc=ranking.auroc if ranking else None,
        pixel_ap=ranking.average_precision if ranking else None,
        aupro_03=aupro(pixels) if defective.masked else None,
        missed=len(defective.raw_scores) - defective.rejected,
    )


def _labelled(good: _Tally, defective: _Tally) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return who is defective, (n,) bool, and everyone's raw score, (n,) float64."""
    scores = np.asarray(good.raw_scores + defective.raw_scores, dtype=np.float64)
    return np.arange(scores.size) >= len(good.raw_scores), scores


def _batches(samples: Iterator[Sample]) -> Iterator[Sequence[Sample]]:
    while batch := list(islice(samples, _BATCH)):
        yield batch
