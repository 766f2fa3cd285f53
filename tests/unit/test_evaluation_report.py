from __future__ import annotations

import json
from io import StringIO
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from rich.console import Console

from detector.evaluation.evaluate import evaluate
from detector.evaluation.gallery import Gallery
from detector.evaluation.page import html_page
from detector.evaluation.report import render
from detector.model.base import Inspection
from detector.pictures.labelled import resize_mask
from detector.pictures.sets import list_test, read_test
from shared.domain import AnomalyMap, Picture
from shared.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class DarkSpotModel:
    """A model whose map is how dark a pixel is, and whose calibrated score is ten times the darkest."""

    model_id = "dark-1"
    calibration_id = "none"
    profile = "dark"
    region_level = 1.0

    def inspect(self, pictures: Sequence[Picture]) -> list[Inspection]:
        """Return one inspection for each picture at its own size."""
        maps = [1.0 - picture.mean(axis=2, dtype=np.float32) / 255.0 for picture in pictures]
        return [Inspection(float(v.max()), 10 * float(v.max()), AnomalyMap(v), ()) for v in maps]


def write_set(folder: Path, *, masks: bool = True) -> Path:
    """Write three good parts, two with a dark hole and one with a faint stain that the model misses."""
    parts: dict[str, list[int | None]] = {"good": [None, None, None], "hole": [0, 30], "stain": [190]}
    for kind, levels in parts.items():
        for index, level in enumerate(levels):
            picture = np.full((20, 30, 3), 220, dtype=np.uint8)
            mask = np.zeros((20, 30), dtype=np.uint8)
            if level is not None:
                picture[5:10, 6:12] = level
                mask[5:10, 6:12] = 255
            for place in (folder / "test" / kind, folder / "ground_truth" / kind):
                place.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / "test" / kind / f"{index:03d}.png"), picture)
            if masks and level is not None:
                name = f"{index:03d}_mask.png" if index == 0 else f"{index:03d}.png"
                cv2.imwrite(str(folder / "ground_truth" / kind / name), mask)
    return folder


def test_the_report_counts_what_the_threshold_misses(tmp_path: Path) -> None:
    """Holes are found, the stain is missed, and no good part is rejected."""
    heard: list[tuple[str, int, int]] = []
    report = evaluate(write_set(tmp_path), DarkSpotModel(), lambda *step: heard.append(step), threshold=3.0)
    assert (report.good_pictures, report.defective_pictures) == (3, 3)
    assert (report.missed, report.false_rejects) == (1, 0)
    assert [(row.defect, row.pictures, row.missed) for row in report.per_defect] == [("hole", 2, 0), ("stain", 1, 1)]
    assert report.image_auroc == report.pixel_auroc == report.pixel_ap == 1.0
    assert report.map_sizes == ((20, 30),)
    assert heard[-1] == ("evaluate", 6, 6)


def test_the_report_is_json_and_a_table(tmp_path: Path) -> None:
    """Both name the model, the mask rule and each defect."""
    report = evaluate(write_set(tmp_path), DarkSpotModel())
    whole = json.loads(report.to_json())
    assert whole["per_defect"]["hole"]["image_auroc"] == 1.0
    assert whole["mask_rule"] == "mask resized to the map by the nearest pixel, then > 0.5"
    console = Console(width=160, record=True, file=StringIO())
    console.print(render(report))
    text = console.export_text()
    assert "dark-1" in text
    assert "stain" in text


def test_a_set_without_any_masks_has_image_figures_alone(tmp_path: Path) -> None:
    """Pixel figures are absent, not zero."""
    write_set(tmp_path, masks=False)
    for place in sorted((tmp_path / "ground_truth").rglob("*"), reverse=True):
        place.rmdir()
    (tmp_path / "ground_truth").rmdir()
    report = evaluate(tmp_path, DarkSpotModel())
    assert report.image_auroc == 1.0
    assert report.pixel_auroc is None
    assert report.aupro_03 is None
    assert json.loads(report.to_json())["per_defect"]["hole"]["pixel_ap"] is None


def test_a_single_missing_mask_is_named(tmp_path: Path) -> None:
    """A set that has masks must have them all."""
    write_set(tmp_path)
    (tmp_path / "ground_truth" / "hole" / "000_mask.png").unlink()
    with pytest.raises(DataError, match=r"000\.png has no mask"):
        list_test(tmp_path)


def test_a_mask_of_another_size_is_named(tmp_path: Path) -> None:
    """A mask must fit its picture."""
    write_set(tmp_path)
    cv2.imwrite(str(tmp_path / "ground_truth" / "stain" / "000_mask.png"), np.zeros((5, 5), dtype=np.uint8))
    with pytest.raises(DataError, match="000_mask"):
        list(read_test(tmp_path))


def test_a_set_without_defects_is_refused(tmp_path: Path) -> None:
    """There is nothing to evaluate without both kinds."""
    (tmp_path / "test" / "good").mkdir(parents=True)
    with pytest.raises(DataError, match="good or defective"):
        list_test(tmp_path)


def test_masks_are_resized_by_the_nearest_pixel() -> None:
    """A mask that is halved keeps its hard edge."""
    mask = np.zeros((20, 20), dtype=np.bool_)
    mask[:, 10:] = True
    small = resize_mask(mask, (10, 10))
    assert small.dtype == np.bool_
    assert small[:, 5:].all()
    assert not small[:, :5].any()


def test_the_page_shows_the_worst_misses_and_alarms_first(tmp_path: Path) -> None:
    """The stain that scored lowest comes before the holes, and each picture is in the file itself."""
    gallery = Gallery(region_level=0.5, each=2)
    report = evaluate(write_set(tmp_path), DarkSpotModel(), threshold=3.0, gallery=gallery)
    assert [(exhibit.defect, exhibit.wrong) for exhibit in gallery.misses()] == [("stain", True), ("hole", False)]
    assert [exhibit.wrong for exhibit in gallery.alarms()] == [False, False]
    page = html_page(report, gallery)
    assert page.index("stain / 000.png") < page.index("hole / ")
    assert page.count("data:image/jpeg;base64,") == 3 * 4
    assert "<strong>missed</strong>" in page
    assert 'src="http' not in page


def test_the_page_escapes_names(tmp_path: Path) -> None:
    """A folder's name is no markup."""
    folder = write_set(tmp_path / "<b>set")
    gallery = Gallery(region_level=0.5)
    page = html_page(evaluate(folder, DarkSpotModel(), gallery=gallery), gallery)
    assert "&lt;b&gt;set" in page
    assert "<b>" not in page
