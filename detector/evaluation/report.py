"""What an evaluation found, with the conditions it was measured under."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from rich.table import Table

MASK_RULE = "mask resized to the map by the nearest pixel, then > 0.5"


@dataclass(frozen=True, slots=True)
class DefectReport:
    """One defect type against all good parts; the pixel figures are None where the set has no masks."""

    defect: str
    pictures: int
    image_auroc: float
    pixel_auroc: float | None
    pixel_ap: float | None
    aupro_03: float | None
    missed: int


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """A model on one set. Metrics are in 0..1; `missed` and `false_rejects` are counts at the calibrated `threshold`.

    What is named an oracle chose its threshold with the labels in sight. `map_sizes` are the distinct heights and
    widths at which pixels were compared, at most four of them.
    """

    category: str
    model_id: str
    calibration_id: str
    profile: str
    good_pictures: int
    defective_pictures: int
    threshold: float
    missed: int
    false_rejects: int
    image_auroc: float
    image_ap: float
    image_f1_max_oracle: float
    pixel_auroc: float | None
    pixel_ap: float | None
    pixel_f1_max_oracle: float | None
    aupro_03: float | None
    map_sizes: tuple[tuple[int, int], ...]
    mask_rule: str
    per_defect: tuple[DefectReport, ...]

    def to_json(self) -> str:
        """Return the report as one JSON object; `per_defect` is keyed by the defect's name."""
        whole = asdict(self)
        whole["per_defect"] = {row.pop("defect"): row for row in whole["per_defect"]}
        return json.dumps(whole, indent=2)


def render(report: EvaluationReport) -> Table:
    """Return the report as a table for the terminal."""
    sizes = ", ".join(f"{width}x{height}" for height, width in report.map_sizes)
    table = Table(
        title=f"{report.category}: {report.model_id}",
        caption=f"Missed at a calibrated score of {report.threshold:g}. Maps {sizes}; {report.mask_rule}.",
    )
    table.add_column("parts")
    for heading in ("pictures", "image AUROC", "pixel AUROC", "pixel AP", "AUPRO@0.3", "missed", "false rejects"):
        table.add_column(heading, justify="right")
    for row in report.per_defect:
        cells = (row.image_auroc, row.pixel_auroc, row.pixel_ap, row.aupro_03)
        table.add_row(row.defect, str(row.pictures), *map(_figure, cells), str(row.missed), "")
    table.add_section()
    table.add_row("good", str(report.good_pictures), "", "", "", "", "", str(report.false_rejects))
    cells = (report.image_auroc, report.pixel_auroc, report.pixel_ap, report.aupro_03)
    table.add_row(
        "all",
        str(report.good_pictures + report.defective_pictures),
        *map(_figure, cells),
        str(report.missed),
        str(report.false_rejects),
    )
    return table


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
