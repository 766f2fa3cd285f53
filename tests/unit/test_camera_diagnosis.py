"""The sentences about a camera's stream: each trouble has its own, and none is said of a good one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from deploy.cameras.diagnosis import problems, verdict
from deploy.cameras.observing import Observation, observe
from deploy.cameras.terminal import in_terminal
from ingest.quality.look import look_at
from ingest.sources.base import Fault, TimeSource
from shared.camera_settings import CameraSettings, GigeSettings
from shared.clock import SystemClock
from shared.domain import Picture
from shared.errors import LossCause, SourceUnavailableError

CAMERA = CameraSettings()


def scene(turn: int, level: float = 120.0) -> Picture:
    """Return a picture with something in it, another each time."""
    return np.clip(np.random.default_rng(turn).normal(level, 25, (48, 64)), 0, 255).astype(np.uint8)


def seen(pictures: Sequence[Picture], *, age_ms: float = 20.0) -> Observation:
    """Return what was seen of a camera that gave these pictures, 10 a second."""
    found = Observation(seconds=(len(pictures) - 1) / 10, pictures=len(pictures))
    for picture in pictures:
        found.sizes[f"{picture.shape}"] += 1
        found.time_sources[TimeSource.CAMERA] += 1
        found.ages_ms.append(age_ms)
        look = look_at(picture)
        found.repeated += bool(found.looks and np.array_equal(look.small, found.looks[-1].small))
        found.looks.append(look)
    return found


GOOD = [scene(turn) for turn in range(20)]


def test_nothing_is_said_against_a_good_camera() -> None:
    """It is told what it sends instead."""
    assert problems(CAMERA, seen(GOOD)) == []
    assert "10.0 pictures a second" in verdict(CAMERA, seen(GOOD))


@pytest.mark.parametrize(
    ("pictures", "says"),
    [
        ([scene(turn, 5) for turn in range(20)], "dark"),
        ([np.clip(scene(turn, 250), 0, 255) for turn in range(20)], "saturated"),
        ([np.full((48, 64), turn % 3, np.uint8) for turn in range(20)], "is the cap on"),
        ([GOOD[0]] * 20, "frozen"),
        ([*GOOD, GOOD[-1]], "1 of 21 pictures equal the one before"),
        ([*GOOD, scene(1)[:-2]], "change their size"),
    ],
)
def test_what_is_wrong_with_pictures_is_said(pictures: Sequence[Picture], says: str) -> None:
    """One sentence, with what to do."""
    assert [says in sentence for sentence in problems(CAMERA, seen(pictures))] == [True]


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault.INCOMPLETE, "jumbo frames"),
        (Fault.LOST, "never came"),
        (Fault.UNREADABLE, "could not be decoded"),
        (Fault.OVERRUN, "faster than this host"),
    ],
)
def test_lost_pictures_are_said_by_their_kind(fault: Fault, says: str) -> None:
    """Each has another remedy."""
    found = seen(GOOD)
    found.faults[fault.value] = 3
    assert [f"3 pictures {says}" in sentence or says in sentence for sentence in problems(CAMERA, found)] == [True]


def test_time_that_is_wrong_is_said() -> None:
    """A clock that is off, frames that are old, a rate that was not kept."""
    found = seen(GOOD, age_ms=900)
    found.counts = {"times_not_taken": 4}
    camera = CameraSettings(gige=GigeSettings(frame_rate_hz=30))
    sentences = problems(camera, found)
    assert ["30 were set" in sentences[0], "PTP or NTP" in sentences[1], "900 ms old" in sentences[2]] == [True] * 3


def test_silence_says_what_it_may_wait_for() -> None:
    """A trigger that does not fire, or whatever else holds the stream; a loss says its own words."""
    assert "set to a trigger" in problems(CAMERA, Observation())[0]
    triggered = CameraSettings(gige=GigeSettings(trigger="Line1"))
    assert "waits for its trigger, Line1" in problems(triggered, Observation())[0]
    lost = Observation(lost=SourceUnavailableError("it is gone", "Plug it in.", cause=LossCause.UNREACHABLE))
    assert problems(CAMERA, lost)[0] == "It was lost while it was watched: it is gone. Plug it in."


async def test_a_rendered_camera_is_watched() -> None:
    """From its first picture on, and no longer than was asked."""
    found = await observe(CameraSettings(rate_hz=50), SystemClock(), seconds=30, most=5)
    assert found.pictures == 5
    assert list(found.sizes) == ["640x480 colour, 8 bits"]
    assert problems(CAMERA, found) == []


@pytest.mark.parametrize("shape", [(480, 640, 3), (480, 640), (40, 2_000), (2_000, 40)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_picture_fits_the_terminal(shape: tuple[int, ...], kind: type[np.unsignedinteger]) -> None:
    """Two pixels to a character, whatever its shape and depth."""
    lines = in_terminal(np.zeros(shape, dtype=kind), columns=80, rows=24).plain.splitlines()
    assert 1 <= len(lines) <= 24
    assert {len(line) for line in lines} == {len(lines[0])}
    assert 1 <= len(lines[0]) <= 80
