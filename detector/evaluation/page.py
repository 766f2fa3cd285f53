"""The evaluation as one HTML file that needs nothing beside it."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined

if TYPE_CHECKING:
    from detector.evaluation.gallery import Gallery
    from detector.evaluation.report import EvaluationReport

_FOLDER = Path(__file__).parent


def html_page(report: EvaluationReport, gallery: Gallery) -> str:
    """Return the page: the figures, then the worst misses and the worst false alarms, each with map and regions."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["jpeg"] = _data_address
    environment.filters["figure"] = _figure
    template = environment.get_template("page.html.jinja")
    return template.render(report=report, misses=gallery.misses(), alarms=gallery.alarms())


def _data_address(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
