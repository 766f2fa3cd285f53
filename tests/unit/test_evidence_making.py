"""What is made of a held frame: pictures, heat maps on an absolute scale, and what is said to be lacking."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from detector.evidence.making import heat_pixels, make_evidence, png, scale_of
from detector.evidence.shelf import Held
from detector.model.base import Inspection
from ingest.encode import encode_pixels
from shared.domain import AnomalyMap, Picture, Region
from shared.evidence import Golden, HeatScale, Thresholds
from shared.policy import LinePolicy
from shared.wire import Encoding, FrameMessage
from tests.detector_bench import SteadyModel
from tests.lines import capture, inspected, not_inspected

LIMITS = LinePolicy(reject_at=3.0, borderline_from=2.0).limits("camera")
ROOMY = 1 << 20


def picture(width_px: int = 64, height_px: int = 48) -> Picture:
    """Return noise, which no encoder makes small."""
    return np.random.default_rng(1).integers(0, 256, (height_px, width_px, 3), dtype=np.uint8)


def held(
    pixels: Picture | None = None,
    *,
    encoding: Encoding = Encoding.JPEG,
    golden: Golden | None = None,
    looked: bool = True,
) -> Held:
    """Hold a frame whose map has one peak at row 2, column 5 of 8 x 8."""
    pixels = picture() if pixels is None else pixels
    values = np.full((8, 8), 0.25, dtype=np.float32)
    values[2, 5] = 1.5
    found = Inspection(1.4, 5.0, AnomalyMap(values), (Region(40, 12, 8, 6, 48, 1.5),), lambda: golden)
    message = FrameMessage(
        capture(),
        encoding,
        pixels.shape[1],
        pixels.shape[0],
        1 if pixels.ndim == 2 else 3,
        depth_bits=8 * pixels.dtype.itemsize,
    )
    payload = encode_pixels(pixels, encoding, jpeg_quality=95)
    verdict = inspected(5.0) if looked else not_inspected()
    return Held(message, memoryview(payload), verdict, SteadyModel(), found if looked else None, b"", 0)


def decoded(data: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Decode a picture as it is."""
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert found is not None
    return np.asarray(found, dtype=np.uint8)


def test_a_jpeg_is_kept_byte_for_byte() -> None:
    """What was judged is what is kept."""
    frame = held()
    made = make_evidence(frame, LIMITS, picture_bytes=ROOMY)
    assert made.picture == bytes(frame.payload)
    assert made.exact
    assert (made.width_px, made.height_px) == (64, 48)
    assert made.verdict == frame.verdict


@pytest.mark.parametrize("encoding", [Encoding.PNG, Encoding.RAW])
@pytest.mark.parametrize("kind", ["colour", "grey", "deep"])
def test_other_pictures_become_jpegs_and_it_is_said(encoding: Encoding, kind: str) -> None:
    """Of any depth: colours stay in their order, and white stays white."""
    flat = np.full((48, 64, 3), (250, 30, 20), dtype=np.uint8)
    pictures: dict[str, Picture] = {
        "colour": flat,
        "grey": flat[..., 0],
        "deep": flat[..., 0].astype(np.uint16) * np.uint16(257),
    }
    pixels = pictures[kind]
    made = make_evidence(held(pixels, encoding=encoding), LIMITS, picture_bytes=ROOMY)
    assert not made.exact
    assert any("encoded again" in note for note in made.notes)
    shown = decoded(made.picture)
    expected = (20, 30, 250) if kind == "colour" else 250
    assert np.abs(shown.reshape(48 * 64, -1).mean(axis=0) - expected).max() < 3


def test_a_picture_that_is_too_large_is_kept_smaller() -> None:
    """Within its bytes, with the same aspect ratio."""
    made = make_evidence(held(picture(640, 480)), LIMITS, picture_bytes=30_000)
    assert len(made.picture) <= 30_000
    assert not made.exact
    height, width = decoded(made.picture).shape[:2]
    assert width / height == pytest.approx(640 / 480, rel=0.05)
    assert (made.width_px, made.height_px) == (640, 480)


def test_the_heat_map_peaks_where_the_model_found_most() -> None:
    """On a scale that the region level sets: the same raw value is the same pixel in any picture."""
    made = make_evidence(held(), LIMITS, picture_bytes=ROOMY)
    heat = decoded(made.heat_map)
    assert heat.shape == (8, 8)
    assert int(heat.argmax()) == 2 * 8 + 5
    assert made.scale == HeatScale(0.0, 2.0, 0.5)
    assert made.peak == pytest.approx(1.5)
    assert heat[2, 5] == round(255 * 1.5 / 2.0)
    assert heat[0, 0] == round(255 * 0.25 / 2.0)
    assert made.scale.contour == round(255 * 0.5 / 2.0)


def test_what_is_no_number_and_what_is_beyond_the_scale_are_the_brightest() -> None:
    """Never dark: dark is good."""
    values = np.array([[np.nan, np.inf], [9.0, -np.inf]], dtype=np.float32)
    assert heat_pixels(values, scale_of(0.5)).tolist() == [[255, 255], [255, 0]]


@pytest.mark.parametrize("level", [0.0, -1.0, float("nan"), float("inf")])
def test_a_model_without_a_usable_level_still_has_a_scale(level: float) -> None:
    """So that nothing divides by nothing."""
    assert heat_pixels(np.array([[0.5]], dtype=np.float32), scale_of(level)).tolist() == [[128]]


def test_the_thresholds_are_those_of_the_policy() -> None:
    """With the raw score that the model says the calibrated one is reached at."""
    made = make_evidence(held(), LIMITS, picture_bytes=ROOMY)
    assert made.thresholds == Thresholds(3.0, 2.0, None, 0.3)


def test_an_overlay_is_made_where_the_verdict_had_none() -> None:
    """And taken where it had one."""
    assert decoded(make_evidence(held(), LIMITS, picture_bytes=ROOMY).overlay).shape == (48, 64, 3)
    again = replace(held(), overlay=b"as it was")
    assert make_evidence(again, LIMITS, picture_bytes=ROOMY).overlay == b"as it was"


def test_the_golden_picture_goes_along_and_one_that_is_lacking_is_told() -> None:
    """A model of before keeps none."""
    golden = Golden("good.png", 0.1, b"jpeg")
    assert make_evidence(held(golden=golden), LIMITS, picture_bytes=ROOMY).golden == golden
    without = make_evidence(held(), LIMITS, picture_bytes=ROOMY)
    assert without.golden is None
    assert any("golden" in note for note in without.notes)


def test_a_frame_that_no_model_looked_at_is_a_picture_alone() -> None:
    """It says so."""
    made = make_evidence(held(looked=False), LIMITS, picture_bytes=ROOMY)
    assert made.picture
    assert (made.heat_map, made.overlay, made.scale, made.peak) == (b"", b"", None, None)
    assert any("no model looked" in note for note in made.notes)


def test_a_cut_and_a_missing_picture_are_told() -> None:
    """Nothing is raised: what there is is kept."""
    frame = held()
    cut = make_evidence(replace(frame, payload=frame.payload[:-9]), LIMITS, picture_bytes=ROOMY)
    gone = make_evidence(replace(frame, payload=b""), LIMITS, picture_bytes=ROOMY)
    for made, says in ((cut, "Premature end"), (gone, "never reached")):
        assert made.picture == b""
        assert decoded(made.heat_map).shape == (8, 8)
        assert any(says in note for note in made.notes)


def test_a_png_gives_its_pixels_back() -> None:
    """Losslessly."""
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(decoded(png(pixels)), pixels)
