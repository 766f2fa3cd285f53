"""Cameras that misbehave for long: frozen, refused, hanging, bouncing; none stops another, and each is told once."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from ingest.health import Health
from ingest.part_register.memory import MemoryPartRegister
from ingest.preparation import Preparation
from ingest.sources.base import Fault, Shot
from shared.camera_settings import PartsSettings
from shared.clock import NS_PER_MS, NS_PER_S
from shared.domain import CameraReport, CameraState, NotInspected, Picture
from shared.errors import ConfigError, LossCause, SourceUnavailableError
from shared.wire import Encoding
from tests.halls import PIXELS, Hall, Reel, on_line, shots
from tests.lines import CAMERA

STALLED = SourceUnavailableError("no picture for 1.5 s", cause=LossCause.STALLED)
REGISTER = PartsSettings(identity="register", address=0)


def numbered(*numbers: int) -> list[Shot | Exception]:
    """Return good shots of these parts."""
    return [Shot(PIXELS, 0, number) for number in numbers]


def states_of(hall: Hall, camera: str = CAMERA) -> list[tuple[CameraState, str]]:
    """Return what operators were told of a camera."""
    reports: list[CameraReport] = [report for report in hall.bus.reports if report.camera == camera]
    return [(report.state, report.cause) for report in reports]


class HangingReel(Reel):
    """A camera whose `open` never returns."""

    async def open(self) -> None:
        """Hang."""
        await asyncio.Event().wait()


class RefusingReel(Reel):
    """A camera that was exchanged while it was away: the new one refuses the settings."""

    async def open(self) -> None:
        """Refuse, but for the first time."""
        await super().open()
        if len(self.opened) > 1:
            raise ConfigError("ExposureTime 50 is refused", "It takes 100 to 10,000.")


class Narrow:
    """A transform for pictures of one size."""

    def apply(self, picture: Picture) -> Picture:
        """Refuse another size, as a crop does that does not fit."""
        if picture.shape != PIXELS.shape:
            raise ConfigError("crop_px ends outside", "Set it within.")
        return picture


async def test_a_frozen_camera_stays_offline_however_often_it_is_opened() -> None:
    """It connects and never sends: every part says so at once, and operators hear it once."""
    hall = Hall("left", "right")
    hall.sources["left"] = Reel(hall.clock, [*numbered(1), *[STALLED] * 20], numbers_parts=True)
    hall.sources["right"] = Reel(hall.clock, numbered(*range(1, 1_000)), numbers_parts=True)
    await hall.start()
    await hall.clock.advance(9)
    hall.stop.set()
    await hall.clock.advance(1)
    await hall.ended()
    told = {part.part_id: part.missing for part in await hall.announced()}
    offline = [part for part, missing in told.items() if missing == {"left": NotInspected.CAMERA_OFFLINE}]
    assert len(offline) >= len(told) - 3
    assert states_of(hall, "left") == [(CameraState.ONLINE, ""), (CameraState.OFFLINE, "stalled")]


async def test_a_camera_that_hangs_when_it_is_opened_holds_up_no_other() -> None:
    """Nor does it end the service, which cannot know whether it will answer."""
    hall = Hall("left", "right")
    hall.sources["left"] = HangingReel(hall.clock, [], numbers_parts=True)
    hall.sources["right"] = Reel(hall.clock, numbered(*range(1, 11)), numbers_parts=True)
    await hall.start()
    await hall.clock.advance(1)
    assert len(await hall.announced()) == 10
    assert hall.serving is not None
    hall.serving.cancel()
    await asyncio.wait({hall.serving})


async def test_pictures_of_another_size_end_no_service() -> None:
    """At the start a wrong crop is an error; later, after a change at the camera, it costs that camera's parts."""
    hall = Hall()
    hall.preparation = Preparation(transform=Narrow())
    hall.sources[CAMERA] = Reel(hall.clock, [*shots(1), *shots(3, PIXELS[:20]), *shots(1)])
    await hall.step_through(5)
    assert [bool(part.missing) for part in await hall.announced()] == [False, True, True, True, False]
    assert states_of(hall)[1:] == [(CameraState.BAD_PICTURE, "other_size")]
    wrong = Hall()
    wrong.preparation = Preparation(transform=Narrow())
    wrong.sources[CAMERA] = Reel(wrong.clock, shots(1, PIXELS[:20]))
    with pytest.raises(ExceptionGroup) as raised:
        await wrong.step_through(0)
    assert raised.group_contains(ConfigError, match="crop_px")


async def test_a_camera_that_refuses_its_settings_later_is_lost_and_told() -> None:
    """A camera that was exchanged ends no other: it is tried again, with what it said."""
    hall = Hall("left", "right")
    hall.sources["left"] = RefusingReel(hall.clock, [*numbered(1), STALLED], numbers_parts=True)
    hall.sources["right"] = Reel(hall.clock, numbered(*range(1, 300)), numbers_parts=True)
    await hall.start()
    await hall.clock.advance(2.5)
    hall.stop.set()
    await hall.clock.advance(1)
    await hall.ended()
    assert len({part.part_id for part in await hall.announced()}) > 200
    assert states_of(hall, "left")[-1] == (CameraState.OFFLINE, "refused")


async def test_a_camera_that_comes_late_with_frames_too_large_is_told_and_ends_no_other() -> None:
    """At the start they would be an error; by now others run."""
    hall = Hall("left", "right", encoding=Encoding.RAW)
    large = np.zeros((2_048, 2_448, 3), dtype=np.uint8)
    hall.sources["left"] = Reel(hall.clock, [ConnectionRefusedError(), Shot(large, 0, 1)], numbers_parts=True)
    hall.sources["right"] = Reel(hall.clock, numbered(*range(1, 200)), numbers_parts=True)
    await hall.start()
    await hall.clock.advance(1)
    hall.stop.set()
    await hall.clock.advance(1)
    await hall.ended()
    assert len({part.part_id for part in await hall.announced()}) > 50
    assert states_of(hall, "left")[-1] == (CameraState.OFFLINE, "refused")
    assert "bus.max_message_bytes" in [report for report in hall.bus.reports if report.camera == "left"][-1].text


@pytest.mark.parametrize("age_ms", [100, 900])
async def test_an_old_picture_does_not_get_the_number_of_the_part_under_the_camera_now(age_ms: int) -> None:
    """The register is of now: a picture that took long to arrive shows a part that cannot be named."""
    hall = Hall()
    hall.settings = on_line(hall.settings, parts=REGISTER)
    hall.register = MemoryPartRegister(7)
    hall.sources[CAMERA] = Reel(hall.clock, [Shot(PIXELS, hall.clock.utc_ns() - age_ms * NS_PER_MS)])
    await hall.play()
    (part,) = await hall.announced()
    named = age_ms < REGISTER.fresh_ms
    assert (part.part_id == "7") == named
    assert len(await hall.frames()) == int(named)


async def test_an_exposure_is_one_part_whether_or_not_it_can_be_named() -> None:
    """Unread in between, the numbers that were passed over are those of exposures that are announced already."""
    hall = Hall()
    hall.settings = on_line(hall.settings, parts=REGISTER)
    hall.register = register = MemoryPartRegister(1)
    hall.sources[CAMERA] = reel = Reel(hall.clock, shots(5))
    numbers = iter((1, None, None, 4, 6))
    read = reel.read

    async def read_with_number() -> Shot | None:
        shot = await read()
        register.value = next(numbers, None)
        return shot

    reel.read = read_with_number  # type: ignore[method-assign]
    await hall.play()
    found = [part.part_id for part in await hall.announced()]
    assert len(found) == 6
    assert {"1", "4", "5", "6"} <= set(found)
    assert len([part for part in found if "-u" in part]) == 2


@pytest.mark.parametrize(
    ("reel", "cause"),
    [
        ([Shot(None, 0, fault=Fault.INCOMPLETE) for _ in range(50)], "incomplete"),
        ([Shot(PIXELS, 0, trigger=7) for _ in range(50)], "doubled"),
        ([Shot(PIXELS, 0, trigger=1 + 3 * turn) for turn in range(50)], "missed"),
    ],
)
async def test_a_row_of_useless_exposures_is_told_once(reel: list[Shot | Exception], cause: str) -> None:
    """Whatever it is that goes wrong at each of them."""
    hall = Hall()
    hall.settings = on_line(hall.settings, parts=PartsSettings(identity="trigger"))
    hall.sources[CAMERA] = Reel(hall.clock, reel)
    await hall.play(1)
    assert [told for told in states_of(hall) if told[0] is not CameraState.ONLINE] == [(CameraState.BAD_PICTURE, cause)]


async def test_the_cause_of_an_outage_is_told_anew_when_it_changes() -> None:
    """Stalled, then refused: operators see what it is now."""
    hall = Hall()
    login = SourceUnavailableError("refuses the login", cause=LossCause.LOGIN)
    hall.sources[CAMERA] = Reel(hall.clock, [*shots(1), STALLED, login, login, *shots(1)])
    await hall.start()
    await hall.clock.advance(20)
    await hall.ended()
    assert [cause for _, cause in states_of(hall)] == ["", "stalled", "login_refused"]


def test_a_flapping_camera_rings_once() -> None:
    """Ten good pictures, or ten seconds of them, end an outage; fewer between two losses are none of its end."""
    health = Health()
    assert health.good(0)
    assert health.lost("stalled")
    for _ in range(20):
        assert not any(health.good(0) for _ in range(9))
        assert not health.lost("stalled")
    assert [health.good(0) for _ in range(10)] == [False] * 9 + [True]
    assert health.bad("dark")
    assert not health.bad("blurred")
    assert not health.good(0)
    assert health.good(10 * NS_PER_S)


def test_a_picture_is_looked_at_only_where_something_is_to_be_done() -> None:
    """Without geometry and limits it is the very same object, in the same task."""
    picture = np.zeros((2, 2), np.uint8)
    assert asyncio.run(Preparation().of(picture)) is picture
