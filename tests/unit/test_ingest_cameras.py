"""What ingest says of lost cameras, bad pictures, and parts that nobody saw; and that it all adds up."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from ingest.identity.base import Odd
from ingest.part_register.memory import MemoryPartRegister
from ingest.preparation import Preparation
from ingest.quality.gate import QualityGate
from ingest.quality.limits import learn_limits
from ingest.quality.look import look_at
from ingest.sources.base import Fault, Shot
from shared.camera_settings import PartsSettings
from shared.clock import NS_PER_MS
from shared.domain import CameraState, NotInspected
from shared.errors import LossCause, PictureError, SourceUnavailableError
from tests.halls import PIXELS, Hall, Reel, limited, on_line, shots
from tests.lines import CAMERA

STALLED = SourceUnavailableError("no picture for 1.5 s", cause=LossCause.STALLED)


def counted(name: str, camera: str = CAMERA) -> Counter[str]:
    """Return what a metric counted for a camera, by its last label."""
    found: Counter[str] = Counter()
    for metric in REGISTRY.collect():
        for sample in metric.samples:
            if sample.name == f"linewarden_{name}_total" and sample.labels.get("camera") == camera:
                key = next(
                    (sample.labels[label] for label in ("reason", "event", "cause") if label in sample.labels), ""
                )
                found[key] += int(sample.value)
    return found


class Ledger:
    """Counts what metrics gained since it was made."""

    def __init__(self, camera: str = CAMERA) -> None:
        self._camera = camera
        self._before = {name: counted(name, camera) for name in self.names}

    names = ("captures", "frames_published", "frames_dropped", "source_events", "camera_losses")

    def gained(self, name: str) -> Counter[str]:
        """Return the gain of a metric, by its last label."""
        return counted(name, self._camera) - self._before[name]


def numbered(*numbers: int) -> list[Shot | Exception]:
    """Return good shots of these parts."""
    return [Shot(PIXELS, 0, number) for number in numbers]


async def test_a_part_that_an_offline_camera_cannot_see_is_announced_so() -> None:
    """The other camera goes on, and says of each part at once that the lost one will not have seen it."""
    hall = Hall("left", "right")
    hall.sources["left"] = Reel(hall.clock, [*numbered(1, 2), STALLED, *numbered(*range(200, 215))], numbers_parts=True)
    hall.sources["right"] = Reel(hall.clock, numbered(*range(1, 101)), numbers_parts=True)
    await hall.start()
    await hall.clock.advance(3)
    await hall.ended()
    missing = {part.part_id.rpartition("-")[2]: part.missing for part in await hall.announced() if part.missing}
    assert {"000003", "000004", "000010", "000040"} <= missing.keys()
    assert {"000001", "000002"}.isdisjoint(missing)
    assert all(reasons == {"left": NotInspected.CAMERA_OFFLINE} for reasons in missing.values())
    states = [(report.camera, report.state, report.cause) for report in hall.bus.reports if report.camera == "left"]
    assert states == [
        ("left", CameraState.ONLINE, ""),
        ("left", CameraState.OFFLINE, "stalled"),
        ("left", CameraState.ONLINE, ""),
    ]


async def test_parts_on_their_way_when_a_camera_is_lost_are_announced_again() -> None:
    """It may take a while to notice: what it did not see meanwhile, and can still be decided, is told then."""
    hall = Hall("left", "right")
    hall.sources["left"] = Reel(hall.clock, [*numbered(1), STALLED], numbers_parts=True)
    hall.sources["right"] = Reel(hall.clock, numbered(1, 2, 3), numbers_parts=True)
    slow = hall.sources["left"].read
    turns = iter((0.0, 0.5))

    async def read() -> Shot | None:
        await hall.clock.sleep(next(turns, 0.0))
        return await slow()

    hall.sources["left"].read = read  # type: ignore[method-assign]
    await hall.start()
    await hall.clock.advance(0.6)
    hall.stop.set()
    await hall.clock.advance(1)
    await hall.ended()
    told = [(part.part_id[-1], part.missing.get("left")) for part in await hall.announced()]
    assert ("2", NotInspected.CAMERA_OFFLINE) in told
    assert ("3", NotInspected.CAMERA_OFFLINE) in told
    assert ("1", NotInspected.CAMERA_OFFLINE) not in told


@pytest.mark.parametrize("fault", [*Fault, None])
async def test_an_exposure_without_a_usable_picture_says_why(fault: Fault | None) -> None:
    """At once: the default is no surprise at the gate."""
    hall, ledger = Hall(), Ledger()
    hall.sources[CAMERA] = Reel(hall.clock, [Shot(None, 0, fault=fault), *shots(1)])
    await hall.play()
    assert [part.missing for part in await hall.announced()] == [{CAMERA: NotInspected.BAD_IMAGE}, {}]
    assert ledger.gained("frames_dropped") == {(fault or Fault.UNREADABLE).value: 1}


async def test_pixels_of_a_faulty_exposure_are_never_used() -> None:
    """Whatever a source gives beside its fault."""
    hall = Hall()
    hall.sources[CAMERA] = Reel(hall.clock, [Shot(PIXELS, 0, fault=Fault.INCOMPLETE)])
    await hall.play()
    assert await hall.frames() == {}


async def test_bad_pictures_are_not_sent_and_told_once() -> None:
    """Dark ones here: each part defaults with the reason, and operators hear of the row, and of its end."""
    rng = np.random.default_rng(0)
    good = [rng.integers(60, 200, (48, 64), dtype=np.uint8) for _ in range(40)]
    dark = [picture // 20 for picture in good]
    hall, ledger = Hall(), Ledger()
    hall.preparation = Preparation(quality=QualityGate(learn_limits([look_at(picture) for picture in good])))
    hall.sources[CAMERA] = Reel(hall.clock, [Shot(picture, 0) for picture in (*good[:5], *dark[:7], *good[5:30])])
    await hall.step_through(37)
    assert [bool(part.missing) for part in await hall.announced()] == [False] * 5 + [True] * 7 + [False] * 25
    assert len(await hall.frames()) == 30
    assert [(report.state, report.cause) for report in hall.bus.reports] == [
        (CameraState.ONLINE, ""),
        (CameraState.BAD_PICTURE, "dark"),
        (CameraState.ONLINE, ""),
    ]
    assert ledger.gained("frames_dropped") == {"bad_picture_dark": 7}


class Askew:
    """A transform that cannot align every second picture."""

    def __init__(self) -> None:
        self.turns = 0

    def apply(self, picture: np.ndarray) -> np.ndarray:
        """Cut the picture, or refuse."""
        self.turns += 1
        if self.turns % 2 == 0:
            raise PictureError("nothing to align with")
        return picture[:10]


async def test_a_picture_that_cannot_be_aligned_is_not_inspected() -> None:
    """And one that can goes as it was made."""
    hall = Hall()
    hall.preparation = Preparation(transform=Askew())
    hall.sources[CAMERA] = Reel(hall.clock, shots(2))
    await hall.step_through(2)
    assert [pixels.shape for pixels in (await hall.frames()).values()] == [(10, 32, 3)]
    assert [part.missing for part in await hall.announced()] == [{}, {CAMERA: NotInspected.BAD_IMAGE}]


async def test_missed_triggers_are_parts_and_doubled_ones_are_not() -> None:
    """Triggers 1, 2, 2, 5: five parts, two of which nobody saw, and one exposure too many."""
    hall, ledger = Hall(), Ledger()
    hall.settings = on_line(hall.settings, parts=PartsSettings(identity="trigger"))
    hall.sources[CAMERA] = Reel(hall.clock, [Shot(PIXELS, 0, trigger=trigger) for trigger in (1, 2, 2, 5)])
    await hall.play()
    announced = await hall.announced()
    assert [part.missing for part in announced] == [{}, {}, *[{CAMERA: NotInspected.BAD_IMAGE}] * 2, {}]
    times = [part.captured_at_ns for part in announced]
    assert times == sorted(times)
    assert len(await hall.frames()) == 3
    assert ledger.gained("source_events") == {"skipped_doubled": 1, "missed": 2}
    assert ledger.gained("captures") == {"": 5}


async def test_the_plc_names_the_parts_and_those_that_pass_a_dead_camera() -> None:
    """Its register's number is the part's id; while the camera is offline the numbers that it shows are parts too."""
    hall = Hall()
    hall.settings = on_line(hall.settings, parts=PartsSettings(identity="register", address=0))
    hall.register = register = MemoryPartRegister(41)
    hall.sources[CAMERA] = Reel(hall.clock, [*shots(1), STALLED, *shots(1)])
    await hall.start()
    await hall.clock.advance(0.1)
    register.value = 43
    await hall.clock.advance(0.3)
    register.value = 44
    await hall.clock.advance(1)
    await hall.ended()
    told = {part.part_id: part.missing for part in await hall.announced()}
    offline = {CAMERA: NotInspected.CAMERA_OFFLINE}
    assert {"41": {}, "42": offline, "43": offline}.items() <= told.items()
    assert register.closed


async def test_a_part_that_the_plc_cannot_name_is_never_passed() -> None:
    """Announced under a name of its own, without a frame."""
    hall, ledger = Hall(), Ledger()
    hall.settings = on_line(hall.settings, parts=PartsSettings(identity="register", address=0))
    hall.register = MemoryPartRegister(None)
    hall.sources[CAMERA] = Reel(hall.clock, shots(2))
    await hall.play()
    announced = await hall.announced()
    assert len({part.part_id for part in announced}) == 2
    assert all(part.missing == {CAMERA: NotInspected.BAD_IMAGE} for part in announced)
    assert ledger.gained("frames_dropped") == {Odd.UNIDENTIFIED.value: 2}


async def test_announcements_say_where_on_the_belt_a_part_lies() -> None:
    """By the encoder, in the place of the line's first camera; one that nobody saw lies where its number says."""
    hall = Hall()
    (camera,) = hall.settings.lines[0].cameras
    cameras = (camera.model_copy(update={"offset_counts": 30}),)
    hall.settings = on_line(hall.settings, parts=PartsSettings(identity="encoder", pitch_counts=100), cameras=cameras)
    hall.sources[CAMERA] = Reel(
        hall.clock, [Shot(PIXELS, 0, encoder=encoder) for encoder in (1_030, 1_128, 1_335, None)]
    )
    await hall.play()
    assert [part.place_counts for part in await hall.announced()] == [1_000, 1_098, 1_205, 1_305, None]


async def test_cameras_one_behind_the_other_are_joined_by_time() -> None:
    """The second sees each part 300 ms later: same part, same deadline, and the PLC is told once."""
    hall = Hall("left", "right")
    left, right = hall.settings.lines[0].cameras
    cameras = (left, right.model_copy(update={"offset_ms": 300.0}))
    hall.settings = on_line(hall.settings, parts=PartsSettings(identity="window", window_ms=4), cameras=cameras)
    hall.sources["left"] = Reel(hall.clock, shots(20))
    hall.sources["right"] = Reel(hall.clock, shots(20))
    ahead = hall.sources["right"].read
    begun: list[bool] = []

    async def read() -> Shot | None:
        if not begun:
            begun.append(True)
            await hall.clock.sleep(0.3)
        return await ahead()

    hall.sources["right"].read = read  # type: ignore[method-assign]
    await hall.play(1)
    announced = await hall.announced()
    assert len(announced) == 40
    assert len({part.part_id for part in announced}) == len(hall.seen) == 20
    assert len({(part.part_id, part.decide_by_ns, part.captured_at_ns) for part in announced}) == 20


async def test_an_outage_of_the_camera_is_counted_with_its_cause() -> None:
    """Once each, whatever the number of attempts; and what the source itself counted reaches the metrics."""
    hall, ledger = Hall(), Ledger()
    reel = Reel(hall.clock, [*shots(1), STALLED, ConnectionRefusedError(), ConnectionRefusedError(), *shots(2)])
    reel.counts = {"skipped_repeated": 3, "packets_missing": 2}
    hall.sources[CAMERA] = reel
    await hall.start()
    await hall.clock.advance(10)
    await hall.ended()
    assert ledger.gained("camera_losses") == {"stalled": 1, "unreachable": 1}
    assert ledger.gained("source_events") == {"skipped_repeated": 3, "packets_missing": 2}


FAULTS = st.sampled_from([None, *Fault])


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
async def test_captured_is_published_and_counted(data: st.DataObject) -> None:
    """Whatever goes wrong - faults, losses, floods, lateness, a bus that comes and goes: nothing is lost uncounted."""
    hall, ledger = Hall(), Ledger()
    if data.draw(st.booleans(), label="limited"):
        hall.settings = limited(hall.settings, max_rate_hz=40)
    hall.settings = on_line(hall.settings, parts=PartsSettings(identity="trigger"))
    trigger = 0
    reel: list[Shot | Exception] = []
    for _ in range(data.draw(st.integers(1, 40), label="shots")):
        if data.draw(st.integers(0, 9)) == 0:
            reel.append(STALLED)
        trigger += data.draw(st.integers(0, 3), label="step")
        fault = data.draw(FAULTS)
        late_ns = data.draw(st.sampled_from([0, 0, 0, 2_000 * NS_PER_MS]))
        at_ns = 0 if late_ns == 0 else hall.clock.utc_ns() - late_ns
        pixels = PIXELS if fault is None else None
        reel.append(Shot(pixels, at_ns, trigger=max(1, trigger), fault=fault))
    hall.sources[CAMERA] = Reel(hall.clock, reel)
    await hall.start()
    for _ in range(3):
        hall.bus.away = data.draw(st.booleans(), label="away")
        await hall.clock.advance(data.draw(st.floats(0.05, 2.0)))
    hall.bus.away = False
    await hall.clock.advance(120)
    await hall.ended()
    captured = ledger.gained("captures")[""]
    published = ledger.gained("frames_published")[""]
    dropped = sum(ledger.gained("frames_dropped").values())
    assert captured == published + dropped
    assert published == len(await hall.frames())
    assert {part.part_id for part in await hall.announced()} >= set(await hall.frames())
    assert len({part.part_id for part in await hall.announced()}) == captured
