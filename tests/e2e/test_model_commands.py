"""The commands about models, as a user types them."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def plates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write fourteen good plates and return their set's folder."""
    folder = tmp_path_factory.mktemp("plates")
    place = folder / "train" / "good"
    place.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index in range(14):
        cv2.imwrite(str(place / f"{index:03d}.png"), rng.normal(120, 8, (64, 80, 3)).clip(0, 255).astype(np.uint8))
    return folder


def linewarden(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    command = [sys.executable, "-m", "deploy.cli", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_the_contact_sheet_shows_the_generators_asked_for(plates: Path, tmp_path: Path) -> None:
    """Two generators make two captioned rows."""
    sheet = tmp_path / "sheet.png"
    words = ("--generator", "scratch", "--generator", "stain", "--columns", "3")
    done = linewarden("synth-preview", str(plates), "--out", str(sheet), *words)
    assert done.returncode == 0, done.stderr
    pixels = cv2.imread(str(sheet))
    assert pixels is not None
    assert pixels.shape == (2 * (22 + 192), 3 * 196, 3)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--generator", "rust"), "there is no defect generator 'rust'"),
        (("--out", "sheet.docx"), "sheet.docx is not a picture file's name"),
    ],
)
def test_a_contact_sheet_that_cannot_be_is_refused(
    plates: Path, tmp_path: Path, words: tuple[str, str], says: str
) -> None:
    """One line, exit code 2, and no empty file is left behind."""
    option, value = words
    target = str(tmp_path / value) if option == "--out" else value
    done = linewarden("synth-preview", str(plates), "--out", str(tmp_path / "sheet.png"), option, target)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_model_of_few_pictures_cannot_promise_a_small_rate(plates: Path, tmp_path: Path) -> None:
    """One part in a hundred is refused with the number of pictures that would do; so is a look that saves nothing."""
    model = str(tmp_path / "model")
    trained = linewarden("train", str(plates), "--out", model)
    assert trained.returncode == 0, trained.stderr
    refused = linewarden("threshold", model, "--false-rejects", "0.01")
    assert refused.returncode == 2
    assert "Train with about 1000" in refused.stderr
    unknown = linewarden("evaluate", str(plates), "--model", model, "--effort", "coarse")
    assert unknown.returncode == 2
    assert "knows no effort 'coarse'" in unknown.stderr
    told = linewarden("threshold", model, "--false-rejects", "0.7")
    assert told.returncode == 0
    assert "true rate lies between" in told.stdout
