"""Training, saving, loading and evaluating in one go: on rendered parts, and on real pictures where they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from detector.evaluation.evaluate import evaluate
from detector.model import artifact
from detector.training.fit import train
from ingest.rendering.conveyor import ConveyorSettings, write_dataset

_HAZELNUT = Path(__file__).parents[3] / "shared" / "data" / "hazelnut_toy"


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Keep torch to one core: its threads wait for each other when other tests run beside these."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_rendered_parts_are_told_apart_after_training_on_good_ones(tmp_path: Path) -> None:
    """Forty good parts are enough for a ranking that is almost right, and no good part is rejected."""
    settings = ConveyorSettings(seed=77)
    write_dataset(tmp_path / "parts", settings, train_good=40, test_good=12, test_each_defect=3)
    train([tmp_path / "parts"]).save(tmp_path / "model")
    report = evaluate(tmp_path / "parts", artifact.load(tmp_path / "model"))
    assert report.image_auroc >= 0.95
    assert report.pixel_auroc is not None
    assert report.pixel_auroc >= 0.95
    assert report.false_rejects == 0


@pytest.mark.data
@pytest.mark.skipif(not _HAZELNUT.is_dir(), reason="the pictures are not beside the checkout")
def test_real_hazelnuts_with_ink_are_found(tmp_path: Path) -> None:
    """Twenty good hazelnuts are enough to rank ink marks above clean ones."""
    steps: list[str] = []
    train([_HAZELNUT], on_progress=lambda step, _done, _total: steps.append(step)).save(tmp_path / "model")
    report = evaluate(_HAZELNUT, artifact.load(tmp_path / "model"))
    assert report.image_auroc >= 0.95
    name = "hazelnut_toy"
    assert list(dict.fromkeys(steps)) == [f"{name}: read", f"{name} at 256 px: features", f"{name} at 256 px: held out"]
