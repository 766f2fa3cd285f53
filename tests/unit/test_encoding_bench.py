"""What encodings cost a model is measured on pictures as they arrive."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from deploy.cli import app
from deploy.encoding_bench import QUALITIES, EncodingFigures, EncodingRow
from deploy.sent_pictures import _CAPTURE, SentModel, Way, as_camera_gives
from detector.decode import decode_frame
from detector.model.base import Inspection
from detector.training.fit import train
from ingest.encode import encode_pixels
from shared.domain import AnomalyMap
from shared.wire import Encoding, FrameMessage
from tests.plates import plate, write_plates

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from shared.domain import Picture

NOISE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


class PictureKeeper:
    """A model that keeps what it is shown, and calls everything good."""

    model_id = calibration_id = profile = "keeper"
    region_level = 1.0

    def __init__(self) -> None:
        self.shown: list[Picture] = []

    def inspect(self, pictures: Sequence[Picture]) -> list[Inspection]:
        """Keep them."""
        self.shown += pictures
        return [Inspection(0.0, 0.5, AnomalyMap(np.zeros((2, 3), np.float32)), ()) for _ in pictures]


@pytest.mark.parametrize("way", [Way(Encoding.RAW), Way(Encoding.PNG), Way(Encoding.JPEG, 90)])
def test_a_model_is_shown_what_arrives(way: Way) -> None:
    """Raw and PNG pixel for pixel, JPEG nearly so; sizes, times and scores are kept of each."""
    keeper = PictureKeeper()
    sent = SentModel(keeper, way)
    sent.inspect([NOISE, NOISE[..., 0]])
    exact = [np.array_equal(shown, given) for shown, given in zip(keeper.shown, (NOISE, NOISE[..., 0]), strict=True)]
    assert exact == [way.encoding is not Encoding.JPEG] * 2
    assert sent.scores == [0.5, 0.5]
    assert len(sent.sizes_bytes) == len(sent.encode_ms) == len(sent.decode_ms) == 2
    assert sent.sizes_bytes[0] > 2 * sent.sizes_bytes[1]


def test_a_jpeg_is_not_sent_on_its_own_grid_of_blocks() -> None:
    """A picture that was a JPEG of the same quality changes as any other does."""
    smooth = np.asarray(cv2.GaussianBlur(NOISE, (0, 0), 1.5), dtype=np.uint8)
    payload = encode_pixels(smooth, Encoding.JPEG, jpeg_quality=80)
    again = decode_frame(FrameMessage(_CAPTURE, Encoding.JPEG, 60, 40, 3), payload)

    def changed(picture: Picture) -> float:
        keeper = PictureKeeper()
        SentModel(keeper, Way(Encoding.JPEG, 80)).inspect([picture])
        return float(np.abs(keeper.shown[0].astype(int) - picture).mean())

    assert changed(np.asarray(again, dtype=np.uint8)) > 0.7 * changed(smooth)


def test_grey_files_are_sent_as_a_grey_camera_would() -> None:
    """A file without colours is read as three equal channels."""
    grey = np.repeat(NOISE[..., :1], 3, axis=2)
    assert np.array_equal(as_camera_gives(grey), NOISE[..., 0])
    assert as_camera_gives(NOISE) is NOISE


def figures(changes: dict[int, tuple[float, float]]) -> EncodingFigures:
    """Return figures in which some qualities change AUROC and AP, and all others nothing."""
    rows = []
    for quality in QUALITIES:
        auroc, pixel_ap = changes.get(quality, (0.0, 0.0))
        way = Way(Encoding.JPEG, quality).name
        rows.append(EncodingRow("set", 0, way, 0.9, 0.5, auroc, pixel_ap, 0, 0, 1, 1, 1))
    return EncodingFigures("lite", 2.0, tuple(rows))


def test_the_lowest_quality_is_the_one_from_which_on_all_cost_nothing() -> None:
    """A gain counts as a change, and one quality that happens to do well below a bad one does not count."""
    assert figures({}).lowest_quality == 50
    assert figures({50: (-0.01, 0), 60: (0.0021, 0), 75: (0, -0.006)}).lowest_quality == 80
    assert figures({98: (0.002, -0.005)}).lowest_quality == 50
    assert figures({100: (0, 0.02)}).lowest_quality is None
    assert "send png" in figures({100: (0, 0.02)}).verdict()


def test_encodings_are_compared_on_a_set(tmp_path: Path) -> None:
    """Raw and PNG are the same to a model, each quality has a row, and the figures say what was decided by."""
    folder = write_plates(tmp_path / "plates", good=12)
    train([folder]).save(tmp_path / "model")
    for place in ("test/good", "test/hole", "ground_truth/hole"):
        (folder / place).mkdir(parents=True)
    for index in range(20, 23):
        picture = plate(index)
        cv2.imwrite(str(folder / "test" / "good" / f"{index}.png"), picture[..., ::-1])
        picture[20:30, 20:30] = 0
        mask = np.zeros(picture.shape[:2], dtype=np.uint8)
        mask[20:30, 20:30] = 255
        cv2.imwrite(str(folder / "test" / "hole" / f"{index}.png"), picture[..., ::-1])
        cv2.imwrite(str(folder / "ground_truth" / "hole" / f"{index}_mask.png"), mask)
    out = tmp_path / "out.json"
    done = CliRunner().invoke(
        app, ["bench", "encoding", str(folder), "--model", str(tmp_path / "model"), "--json", str(out)]
    )
    assert done.exit_code == 0, done.output
    found = json.loads(out.read_text())
    rows = {row["way"]: row for row in found["rows"]}
    assert list(rows) == ["raw", "png", *(f"jpeg {quality}" for quality in QUALITIES)]
    assert rows["png"]["auroc_change"] == rows["png"]["ap_change"] == rows["png"]["changed_good"] == 0
    assert rows["jpeg 50"]["picture_bytes"] < rows["jpeg 95"]["picture_bytes"] < rows["raw"]["picture_bytes"]
    assert found["profile"] == "lite"
    assert str(found["lowest_quality"]) in found["verdict"] or found["lowest_quality"] is None
