"""Studies: few good pictures, the table of ways, and the scratches of the crop benchmark."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import pytest
from rich.console import Console

from deploy import studies
from deploy.crop_bench import draw_scratch
from deploy.studies import Study, StudyRow, marginal
from detector.model.profiles import Profile
from tests.plates import plate, write_plates


def row(way: str, seed: int, auroc: float, seconds: float) -> StudyRow:
    """Return a row whose four figures are alike."""
    return StudyRow(way, "tiles", seed, auroc, auroc, auroc, auroc, seconds)


def test_a_study_shows_mean_spread_and_time_relative_to_its_baseline() -> None:
    """Two seeds of .8 and .9 are .850 +- .071; twice the time is 2.00."""
    rows = (row("plain", 0, 0.8, 0.1), row("plain", 1, 0.9, 0.1), row("rich", 0, 0.9, 0.2), row("rich", 1, 0.9, 0.2))
    console = Console(width=140, file=StringIO())
    console.print(Study("Ways", ("plain", "rich"), "plain", rows).table())
    text = cast("StringIO", console.file).getvalue()
    assert "0.850 +-0.071 / 0.850 +-0.071" in text
    assert "2.00" in text
    assert "2 seed(s)" in text


def test_few_pictures_are_drawn_anew_by_each_seed_and_all_come_last(tmp_path: Path) -> None:
    """Every count has a row for each seed; the original set is not touched."""
    rng = np.random.default_rng(0)
    for place, count in (("train/good", 5), ("test/good", 2), ("test/hole", 2), ("ground_truth/hole", 2)):
        (tmp_path / "plates" / place).mkdir(parents=True)
        for index in range(count):
            picture = np.clip(rng.normal(120, 5, (64, 64, 3)), 0, 255).astype(np.uint8)
            name = f"{index:03d}.png"
            if "hole" in place:
                cv2.circle(picture, (30, 30), 8, (0, 0, 0), -1)
            if place.startswith("ground"):
                picture = np.where(picture == 0, 255, 0).astype(np.uint8)
                name = f"{index:03d}_mask.png"
            cv2.imwrite(str(tmp_path / "plates" / place / name), picture)
    before = sorted(path.name for path in (tmp_path / "plates" / "train" / "good").iterdir())
    study = marginal([tmp_path / "plates"], profile="lite", counts=[1, 2], seeds=2, on_progress=lambda *_: None)
    assert [(one.way, one.seed) for one in study.rows] == [
        ("1", 0),
        ("1", 1),
        ("2", 0),
        ("2", 1),
        ("all", 0),
        ("all", 1),
    ]
    assert all(one.image_auroc == 1.0 for one in study.rows)
    assert sorted(path.name for path in (tmp_path / "plates" / "train" / "good").iterdir()) == before


@pytest.mark.parametrize("length_px", [12, 40])
def test_a_drawn_scratch_lies_on_the_part_and_is_as_long_as_asked(length_px: int) -> None:
    """Its mask is where the picture got darker; nothing else changed."""
    picture = np.full((300, 400, 3), 40, dtype=np.uint8)
    cv2.rectangle(picture, (80, 60), (330, 250), (180, 180, 180), -1)
    scratched, mask = draw_scratch(picture, length_px, np.random.default_rng(1))
    darker = picture.astype(int) - scratched > 20
    rows, columns = np.nonzero(mask[..., 0])
    assert np.hypot(np.ptp(rows), np.ptp(columns)) == pytest.approx(length_px, abs=4)
    assert (picture[rows, columns] == 180).all()
    assert not darker[mask == 0].any()
    assert darker.sum() > length_px


def plates_with_holes(folder: Path) -> Path:
    """Write 14 good plates to train on, three good ones and three with a hole to test on."""
    write_plates(folder, 14)
    for place, hole in (("good", False), ("hole", True)):
        (folder / "test" / place).mkdir(parents=True)
        for index in range(3):
            cv2.imwrite(str(folder / "test" / place / f"{index}.png"), plate(40 + index, hole=hole))
    (folder / "ground_truth" / "hole").mkdir(parents=True)
    for index in range(3):
        mask = np.zeros((72, 96), dtype=np.uint8)
        cv2.circle(mask, (54, 40), 6, 255, -1)
        cv2.imwrite(str(folder / "ground_truth" / "hole" / f"{index}_mask.png"), mask)
    return folder


def test_the_ablation_looks_with_every_ingredient_at_the_same_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each way has one row, in the order of the table, and what is looked with makes a difference."""
    for name in ("_WITH_PROMPT", "_WITH_CROPS"):
        profile: Profile = getattr(studies, name)
        small = replace(profile, sides_px=(48,), map_side_px=48, bank_size=128, head_pictures=4, head_steps=2)
        monkeypatch.setattr(studies, name, small)
    folder = plates_with_holes(tmp_path / "plates")
    study = studies.ablation([folder], unified=True, seeds=1, on_progress=lambda *_: None)
    assert [one.way for one in study.rows] == list(study.ways)
    assert len({one.pixel_ap for one in study.rows}) > 4


def test_both_attentions_see_the_same_random_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each way has one row; two that differ in nothing find the same, whatever was drawn at random before."""
    plain = replace(
        studies._VIT, tower="ViT-S-16", sides_px=(64,), map_side_px=64, bank_size=64, head_pictures=2, head_steps=2
    )
    monkeypatch.setattr(studies, "_ATTENTION", {"plain": plain, "again": plain})
    folder = plates_with_holes(tmp_path / "plates")
    study = studies.attention([folder], weights="random", seeds=1, on_progress=lambda *_: None)
    assert [one.way for one in study.rows] == list(study.ways)
    first, second = ([row.pixel_ap for row in study.rows if row.way.endswith(kind)] for kind in ("plain", "again"))
    assert first == second
    assert len(set(first)) > 1
