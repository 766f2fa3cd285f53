"""The quality gate: what a plant's cameras do to pictures, on made ones and on real ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from ingest.quality.gate import Blemish, QualityGate
from ingest.quality.limits import Limits, learn_limits, read_limits, reference_of, write_limits
from ingest.quality.look import look_at
from ingest.sources.pictures import find_pictures, read_picture
from shared.domain import Picture
from shared.errors import ConfigError, DataError

Pixels = NDArray[np.uint8]
DATA = Path(__file__).parents[3] / "shared" / "data"
WIDTH, HEIGHT = 480, 360


def station(turn: int, *, drift_px: int = 0) -> Pixels:
    """Return what a camera over a conveyor sees: rails that stand still, a part elsewhere each time, and noise."""
    rng = np.random.default_rng(turn)
    scene = np.full((HEIGHT, WIDTH + 100), 110, dtype=np.uint8)
    for at in range(20, WIDTH + 100, 60):
        cv2.rectangle(scene, (at, 5), (at + 20, 40), 190, -1)
        cv2.rectangle(scene, (at + 10, HEIGHT - 45), (at + 35, HEIGHT - 8), 40, -1)
    scene = scene[:, 50 - drift_px : 50 - drift_px + WIDTH].copy()
    centre = (int(rng.integers(150, 330)), int(rng.integers(130, 230)))
    cv2.circle(scene, centre, 60, 160, -1)
    cv2.putText(scene, f"{turn:04d}", (centre[0] - 45, centre[1] + 10), cv2.FONT_HERSHEY_SIMPLEX, 1.2, 60, 3)
    return np.clip(scene + rng.normal(0, 3, scene.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def limits() -> Limits:
    """Learn from 40 good pictures."""
    return learn_limits([look_at(station(turn)) for turn in range(40)])


def judged(limits: Limits, change: Callable[[Pixels], Picture], *, drift_px: int = 0) -> list[Blemish | None]:
    """Return what the gate says of 20 new pictures that are changed so."""
    gate = QualityGate(limits)
    return [gate.judge(change(station(1_000 + turn, drift_px=drift_px))) for turn in range(20)]


def test_good_pictures_pass(limits: Limits) -> None:
    """New parts, new noise."""
    assert judged(limits, lambda picture: picture) == [None] * 20


@pytest.mark.parametrize(
    ("change", "blemish"),
    [
        (lambda picture: (picture * 0.3).astype(np.uint8), Blemish.DARK),
        (np.zeros_like, Blemish.DARK),
        (lambda picture: np.clip(picture * 2.6, 0, 255).astype(np.uint8), Blemish.SATURATED),
        (lambda picture: cv2.GaussianBlur(picture, (0, 0), 3), Blemish.BLURRED),
        (lambda picture: picture[:, :-2], Blemish.SIZE),
    ],
)
def test_bad_pictures_are_told_apart(limits: Limits, change: Callable[[Pixels], Picture], blemish: Blemish) -> None:
    """The lamp fails, a cap is on, the aperture is open, the focus is lost, the region is another."""
    assert judged(limits, change) == [blemish] * 20


@pytest.mark.parametrize("drift_px", [12, 25])
def test_a_camera_that_was_knocked_is_noticed(limits: Limits, drift_px: int) -> None:
    """What stands still has moved."""
    assert limits.moved_below is not None
    assert judged(limits, lambda picture: picture, drift_px=drift_px) == [Blemish.MOVED] * 20


def test_light_that_changes_a_little_is_no_blemish(limits: Limits) -> None:
    """Parts are judged by how they look beside each other; a lamp ages."""
    assert judged(limits, lambda picture: (picture * 0.97).astype(np.uint8)) == [None] * 20


def test_a_frozen_picture_is_noticed_at_once(limits: Limits) -> None:
    """Even where the camera encodes it anew each time; when it moves again it is good again."""
    gate = QualityGate(limits)
    still = station(7)
    again = np.where(np.random.default_rng(0).random(still.shape) < 0.01, still + 1, still).astype(np.uint8)
    assert [gate.judge(picture) for picture in (still, still, again, station(8))] == [
        None,
        Blemish.FROZEN,
        Blemish.FROZEN,
        None,
    ]


def test_sixteen_bits_and_colour_are_judged_alike() -> None:
    """Limits of a camera hold for what it sends, whatever its depth."""
    deep = [station(turn).astype(np.uint16) * 257 for turn in range(12)]
    gate = QualityGate(learn_limits([look_at(picture) for picture in deep]))
    assert gate.judge(deep[3]) is None
    assert gate.judge(np.zeros_like(deep[3])) is Blemish.DARK
    colour = [np.stack([station(turn)] * 3, axis=2) for turn in range(12)]
    assert QualityGate(learn_limits([look_at(picture) for picture in colour])).judge(colour[3]) is None


@pytest.mark.parametrize(
    ("pictures", "problem"),
    [
        ([station(turn) for turn in range(9)], "9 good pictures"),
        ([station(turn) for turn in range(12)] + [station(3)[:-1]], "2 sizes"),
        ([station(0)] * 12, "equal to the pixel"),
    ],
)
def test_pictures_that_teach_nothing_are_refused(pictures: list[Pixels], problem: str) -> None:
    """Too few, of two cameras, or of one that is frozen."""
    with pytest.raises(DataError, match=problem):
        learn_limits([look_at(picture) for picture in pictures])


def test_limits_come_back_from_their_file(limits: Limits, tmp_path: Path) -> None:
    """As they were."""
    path = tmp_path / "camera.json"
    write_limits(limits, path)
    assert read_limits(path) == limits


@pytest.mark.parametrize(
    ("text", "kind"),
    [(b"{}", DataError), (b"\xff\xfe", DataError), (b"[1, 2]", DataError), (None, ConfigError)],
)
def test_a_file_that_holds_no_limits_is_named(text: bytes | None, kind: type[Exception], tmp_path: Path) -> None:
    """With the command that writes one."""
    path = tmp_path / "camera.json"
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(kind, match=r"camera\.json.*cameras calibrate"):
        read_limits(path)


def test_a_reference_picture_that_is_cut_is_refused(limits: Limits) -> None:
    """Nothing is compared with half a picture."""
    with pytest.raises(DataError, match="Calibrate again"):
        reference_of(msgspec.structs.replace(limits, reference=limits.reference[:400]))


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason="the pictures beside the checkout are not there")
@pytest.mark.parametrize("name", ["hazelnut_toy", "deeppcb"])
def test_no_good_picture_of_a_real_set_is_refused(name: str) -> None:
    """Learnt on training pictures, held against new ones, good parts and defects: a defect is no blemish."""
    gate = QualityGate(
        learn_limits([look_at(read_picture(path)) for path in sorted((DATA / name / "train" / "good").iterdir())])
    )
    assert [file.path.name for file in find_pictures(DATA / name) if gate.judge(read_picture(file.path))] == []
