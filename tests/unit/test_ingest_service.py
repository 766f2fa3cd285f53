"""The ingest service on the in-process bus, with cameras that do what their names say."""

from __future__ import annotations

import asyncio
import gc
import re
import weakref
import zlib
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from structlog.testing import capture_logs

from detector.decode import decode_frame
from ingest.outbox import TOO_MANY
from ingest.photo_eye.base import PhotoEye
from ingest.photo_eye.memory import MemoryPhotoEye
from ingest.service import IngestService
from ingest.sources.base import Shot
from shared.bus.memory import MemoryBus
from shared.camera_settings import CameraSettings
from shared.clock import NS_PER_MS, ManualClock
from shared.domain import PartAnnouncement, Picture
from shared.envelope import Headers, capture_of
from shared.errors import ConfigError, SignalUnreachableError, SourceUnavailableError
from shared.settings import LineSettings, Settings
from shared.wire import Encoding, FrameMessage, PayloadReference, decode
from tests.lines import CAMERA, GATE_DELAY_MS, T0_NS, eventually, line_settings, read_all, topics_for
from tests.outages import CuttableBus, CuttableStore

PIXELS = np.full((24, 32, 3), (200, 100, 50), dtype=np.uint8)


def limited(settings: Settings, *, max_rate_hz: float) -> Settings:
    """Return settings whose cameras may send no more than that."""
    (line,) = settings.lines
    cameras = tuple(camera.model_copy(update={"max_rate_hz": max_rate_hz}) for camera in line.cameras)
    return settings.model_copy(update={"lines": (line.model_copy(update={"cameras": cameras}),)})


def with_bus(settings: Settings, **values: object) -> Settings:
    """Return settings with other values in `[bus]`."""
    return settings.model_copy(update={"bus": settings.bus.model_copy(update=values)})


class Reel:
    """A camera that plays a list of shots, one each 10 ms; an error in the list is raised at its turn."""

    def __init__(self, clock: ManualClock, shots: Sequence[Shot | Exception], *, numbers_parts: bool = False) -> None:
        self.numbers_parts = numbers_parts
        self.counts: dict[str, int] = {}
        self.opened: list[int] = []
        self.closed = 0
        self._clock = clock
        self._shots = list(shots)

    async def open(self) -> None:
        """Connect, unless the next thing on the reel is that it cannot."""
        self.opened.append(self._clock.monotonic_ns() // NS_PER_MS)
        if self._shots and isinstance(self._shots[0], ConnectionRefusedError):
            self._shots.pop(0)
            raise SourceUnavailableError("no answer")

    async def read(self) -> Shot | None:
        """Play the next shot, exposed now unless it says when."""
        await self._clock.sleep(0.01)
        if not self._shots:
            return None
        shot = self._shots.pop(0)
        if isinstance(shot, Exception):
            raise shot
        return Shot(shot.pixels, shot.captured_at_ns or self._clock.utc_ns(), shot.number, shot.label)

    async def close(self) -> None:
        """Count."""
        self.closed += 1


class EndlessReel(Reel):
    """A camera that never ends, and whose `read` never waits for anything."""

    async def read(self) -> Shot | None:
        """Play."""
        return Shot(None, self._clock.utc_ns())


class BlindEye:
    """A photo-eye whose PLC cannot be reached."""

    def __init__(self) -> None:
        self.closed = False

    async def part_passed(self, part_id: str, gate_at_ns: int) -> None:
        """Fail."""
        raise SignalUnreachableError(f"no PLC for {part_id} at {gate_at_ns}")

    async def close(self) -> None:
        """Remember it."""
        self.closed = True


class OrderedBus(CuttableBus):
    """A bus that writes down in which order the topics were written."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(MemoryBus(clock))
        self.order: list[tuple[str, str]] = []

    async def publish(
        self, topic: str, value: bytes, *, key: bytes | None, partition: int, headers: Headers = ()
    ) -> None:
        """Publish, and remember what it was about."""
        await super().publish(topic, value, key=key, partition=partition, headers=headers)
        capture = capture_of(headers)
        assert capture is not None
        self.order.append((topic.rpartition(".")[2], capture.part_id))


class Hall:
    """Cameras, a bus and an ingest service between them."""

    def __init__(self, *names: str, partitions: int = 1, encoding: Encoding = Encoding.JPEG) -> None:
        self.clock = ManualClock()
        self.settings: Settings = line_settings(cameras=names or (CAMERA,), partitions=partitions, encoding=encoding)
        self.bus = OrderedBus(self.clock)
        self.store = CuttableStore.embedded()
        self.sources: dict[str, Reel] = {}
        self.seen: list[tuple[str, int]] = []
        self.eye: PhotoEye = MemoryPhotoEye(lambda part, at_ns: self.seen.append((part, at_ns)))
        self.stop = asyncio.Event()
        self.serving: asyncio.Task[None] | None = None

    def source(self, camera: CameraSettings) -> Reel:
        """Return the camera of that name."""
        return self.sources[camera.name]

    def photo_eye(self, _line: LineSettings) -> PhotoEye:
        """Return the photo-eye."""
        return self.eye

    def loads(self, count: int) -> list[weakref.ref[NDArray[np.uint8]]]:
        """Give the camera so many pictures, and return the pictures for as long as somebody holds them."""
        pictures = [PIXELS.copy() for _ in range(count)]
        self.sources[CAMERA] = Reel(self.clock, [Shot(picture, 0) for picture in pictures])
        return [weakref.ref(picture) for picture in pictures]

    async def start(self) -> None:
        """Start the service."""
        plan = await topics_for(self.settings, self.bus)
        service = IngestService(
            self.settings,
            plan=plan,
            bus=self.bus,
            payloads=self.store,
            clock=self.clock,
            source=self.source,
            photo_eye=self.photo_eye,
        )
        self.serving = asyncio.create_task(service.run(self.stop))

    async def play(self, seconds: float = 0.2) -> None:
        """Let the cameras run for a while, and then the service come to its end."""
        await self.start()
        await self.clock.advance(seconds)
        await self.ended()

    async def ended(self) -> None:
        """Wait for the service's end without moving the clock."""
        assert self.serving is not None
        await eventually(self.serving.done)
        await self.serving

    async def announced(self) -> list[PartAnnouncement]:
        """Return the announcements, by part."""
        records = await read_all(self.bus, self.settings.topics.captures)
        return sorted((decode(PartAnnouncement, record.value)[0] for record in records), key=lambda part: part.part_id)

    async def frames(self) -> dict[str, Picture]:
        """Return the pixels of each part that a frame was sent of."""
        records = await read_all(self.bus, self.settings.topics.frames)
        messages = [decode(FrameMessage, record.value) for record in records]
        return {message.capture.part_id: decode_frame(message, payload) for message, payload in messages}


def innermost(error: BaseException | None) -> BaseException | None:
    """Return what the task groups wrapped."""
    while isinstance(error, ExceptionGroup):
        (error,) = error.exceptions
    return error


async def encoded(raw: Sequence[weakref.ref[NDArray[np.uint8]]]) -> None:
    """Wait until nobody holds any of these pictures as pixels."""
    await eventually(lambda: gc.collect() >= 0 and not any(picture() is not None for picture in raw))


def shots(count: int, pixels: NDArray[np.uint8] | None = PIXELS) -> list[Shot | Exception]:
    """Return shots that are exposed when they are read."""
    return [Shot(pixels, 0) for _ in range(count)]


async def test_each_exposure_is_announced_before_its_frame() -> None:
    """Announcement first, then pixels; the photo-eye before both, with the time at the gate."""
    hall = Hall()
    hall.sources[CAMERA] = Reel(hall.clock, shots(5))
    await hall.play()
    announced = await hall.announced()
    assert len(announced) == 5
    assert len(hall.bus.order) == 10
    for part in announced:
        assert hall.bus.order.index(("captures", part.part_id)) < hall.bus.order.index(("frames", part.part_id))
        assert part.decide_by_ns == part.captured_at_ns + 1_300 * NS_PER_MS
        assert (part.part_id, part.captured_at_ns + GATE_DELAY_MS * NS_PER_MS) in hall.seen
    frames = await hall.frames()
    assert frames.keys() == {part.part_id for part in announced}
    assert all(np.abs(pixels.astype(int) - PIXELS).max() < 8 for pixels in frames.values())
    assert hall.sources[CAMERA].closed == 1


async def test_a_fast_camera_spreads_its_frames_over_its_partitions() -> None:
    """In turn, so that several replicas share them; its parts stay on their line's one partition."""
    hall = Hall(partitions=3)
    hall.sources[CAMERA] = Reel(hall.clock, shots(6))
    await hall.play()
    frames = await read_all(hall.bus, hall.settings.topics.frames)
    assert sorted(record.partition for record in frames) == [0, 0, 1, 1, 2, 2]
    assert {record.partition for record in await read_all(hall.bus, hall.settings.topics.captures)} == {0}


async def test_frames_keep_the_order_of_their_colours() -> None:
    """Red stays red from the source to the detector, and grey stays grey."""
    hall = Hall()
    grey = np.full((24, 32), 77, dtype=np.uint8)
    hall.sources[CAMERA] = Reel(hall.clock, [Shot(PIXELS, 0), Shot(grey, 0)])
    await hall.play()
    colour, mono = (pixels for _, pixels in sorted((await hall.frames()).items()))
    assert colour[0, 0, 0] > 190
    assert colour[0, 0, 2] < 60
    assert mono.shape == (24, 32)


async def test_an_exposure_without_a_picture_is_announced() -> None:
    """The part exists, whatever became of its picture: without a verdict the gate defaults."""
    hall = Hall()
    broken = np.zeros((0, 32, 3), dtype=np.uint8)
    hall.sources[CAMERA] = Reel(hall.clock, [*shots(1, None), Shot(broken, 0, None, "good"), *shots(1)])
    await hall.play()
    assert [part.label for part in await hall.announced()] == [None, "good", None]
    assert len(await hall.frames()) == 1


async def test_a_lost_camera_is_opened_again_and_others_go_on() -> None:
    """With pauses that double up to five seconds, and start over after a picture; the sequence goes on."""
    hall = Hall("left", "right")
    refused = [ConnectionRefusedError() for _ in range(5)]
    hall.sources["left"] = Reel(
        hall.clock,
        [*[Shot(PIXELS, 0, n) for n in (1, 2)], SourceUnavailableError("lost"), *refused, Shot(PIXELS, 0, 3)],
        numbers_parts=True,
    )
    hall.sources["right"] = Reel(hall.clock, [Shot(PIXELS, 0, n) for n in range(1, 100)], numbers_parts=True)
    await hall.start()
    await hall.clock.advance(1.5)
    assert len({part.part_id for part in await hall.announced()}) == 99
    await hall.clock.advance(20)
    await hall.ended()
    pauses = np.diff(hall.sources["left"].opened)
    assert pauses.tolist() == [530, 1_000, 2_000, 4_000, 5_000, 5_000]


async def test_all_cameras_away_at_the_start_is_an_error() -> None:
    """A wrong address should not look like a quiet line; a camera away beside one that answers is waited for."""
    hall = Hall()
    hall.sources[CAMERA] = Reel(hall.clock, [ConnectionRefusedError()])
    await hall.start()
    assert hall.serving is not None
    await hall.clock.advance(0.1)
    with pytest.raises(SourceUnavailableError):
        hall.serving.result()
    half = Hall("left", "right")
    half.sources["left"] = Reel(half.clock, [ConnectionRefusedError(), Shot(None, 0, 1)], numbers_parts=True)
    half.sources["right"] = Reel(half.clock, [Shot(None, 0, 1)], numbers_parts=True)
    await half.play(2)
    assert len(await half.announced()) == 2


async def test_a_blind_photo_eye_stops_nothing() -> None:
    """The PLC may be away: parts are announced and inspected all the same."""
    hall = Hall()
    hall.eye = eye = BlindEye()
    hall.sources[CAMERA] = Reel(hall.clock, shots(3))
    await hall.play()
    assert len(await hall.announced()) == len(await hall.frames()) == 3
    assert eye.closed


async def test_cameras_without_part_numbers_cannot_share_a_line() -> None:
    """Nothing would say which of their pictures show the same part."""
    hall = Hall("left", "right")
    hall.sources = {name: Reel(hall.clock, shots(1)) for name in ("left", "right")}
    with pytest.raises(ConfigError, match="gives no part numbers"):
        await hall.play()


async def test_cameras_with_part_numbers_see_the_same_parts() -> None:
    """Both name the part alike, both announcements name both cameras, and the PLC is told once."""
    hall = Hall("left", "right")
    for name in ("left", "right"):
        hall.sources[name] = Reel(hall.clock, [Shot(PIXELS, 0, n) for n in (1, 2)], numbers_parts=True)
    await hall.play()
    announced = await hall.announced()
    assert {part.cameras for part in announced} == {("left", "right")}
    assert len(announced) == 4
    assert len({part.part_id for part in announced}) == len(hall.seen) == 2


async def test_a_frame_too_late_for_its_gate_is_dropped_but_announced() -> None:
    """Nobody could use it; the part is settled by default."""
    hall = Hall()
    hall.sources[CAMERA] = Reel(hall.clock, [Shot(PIXELS, T0_NS - 2_000 * NS_PER_MS), *shots(1)])
    await hall.play()
    assert len(await hall.announced()) == 2
    assert len(await hall.frames()) == 1


async def test_a_camera_that_runs_wild_sends_no_more_than_its_rate() -> None:
    """A shot each 10 ms where 25 a second are allowed: every part is announced, and what goes out is counted."""
    hall = Hall()
    hall.settings = limited(hall.settings, max_rate_hz=25)
    hall.sources[CAMERA] = Reel(hall.clock, shots(100))
    with capture_logs() as logged:
        await hall.play(1.1)
    assert len(await hall.announced()) == 100
    assert 25 <= len(await hall.frames()) <= 27
    (ended,) = [entry for entry in logged if entry["event"] == "camera.ended"]
    assert ended["dropped"] == {TOO_MANY: 100 - len(await hall.frames())}
    assert len([entry for entry in logged if entry["event"] == "frame.refused"]) == 1


async def test_frames_that_no_message_can_hold_are_an_error_at_the_start() -> None:
    """Not a part by default for each of them, and it says which camera and what to set."""
    hall = Hall(encoding=Encoding.PNG)
    hall.sources[CAMERA] = Reel(hall.clock, shots(3, np.zeros((2_048, 2_448, 3), dtype=np.uint8)))
    await hall.start()
    assert hall.serving is not None
    await hall.clock.advance(0.1)
    await eventually(hall.serving.done)
    error = innermost(hall.serving.exception())
    assert isinstance(error, ConfigError)
    assert re.search(rf"'{CAMERA}'.* 2448x2048 in png .*bus\.max_message_bytes", str(error))
    assert hall.sources[CAMERA].closed == 1


async def test_frames_that_go_by_reference_may_be_larger_than_a_message() -> None:
    """Nothing but the reference travels; frames of fewer bytes travel whole, as before."""
    hall = Hall(encoding=Encoding.RAW)
    hall.settings = with_bus(hall.settings, claim_check_kib=64, max_message_bytes=128 * 1024)
    large = np.random.default_rng(1).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    hall.sources[CAMERA] = Reel(hall.clock, [*shots(1, large), *shots(1)])
    await hall.play()
    records = await read_all(hall.bus, hall.settings.topics.frames)
    messages = [decode(FrameMessage, record.value) for record in records]
    (by_reference,) = [(message, payload) for message, payload in messages if message.reference is not None]
    (whole,) = [(message, payload) for message, payload in messages if message.reference is None]
    assert np.array_equal(decode_frame(*whole), PIXELS)
    message, payload = by_reference
    kept = await hall.store.payload(message.capture.id)
    assert kept == large.tobytes()
    assert message.reference == PayloadReference(len(kept), zlib.crc32(kept))
    assert len(payload) == 0
    assert len(await hall.announced()) == 2


async def test_a_frame_that_its_spool_cannot_hold_is_an_error_at_the_start() -> None:
    """It would be dropped each time, and nobody would know why."""
    hall = Hall()
    ingest = hall.settings.ingest.model_copy(update={"spool_mib": 1})
    hall.settings = hall.settings.model_copy(update={"ingest": ingest})
    hall.sources[CAMERA] = Reel(hall.clock, shots(3, np.zeros((600, 600, 3), dtype=np.uint8)))
    await hall.start()
    assert hall.serving is not None
    await hall.clock.advance(0.1)
    await eventually(hall.serving.done)
    assert re.search(r"one frame takes 1080000 bytes.*spool_mib", str(innermost(hall.serving.exception())))


async def test_a_bus_that_is_away_loses_no_part() -> None:
    """Each part is announced once the bus is back, and the frames follow that can still make their gate."""
    hall = Hall()
    raw = hall.loads(300)
    await hall.start()
    hall.bus.away = True
    await hall.clock.advance(3.2)
    await encoded(raw)
    hall.bus.away = False
    back_ns = hall.clock.utc_ns()
    await hall.clock.advance(1, settle=500)
    await hall.ended()
    announced = await hall.announced()
    assert len({part.part_id for part in announced}) == len(announced) == 300
    sent = await hall.frames()
    assert 0 < len(sent) < 300
    assert {part.part_id for part in announced if part.decide_by_ns > back_ns + 500 * NS_PER_MS} <= set(sent)
    assert set(sent) <= {part.part_id for part in announced if part.decide_by_ns > back_ns}


async def test_pictures_that_wait_are_held_encoded() -> None:
    """While the bus is away no raw pixels stay behind."""
    hall = Hall()
    raw = hall.loads(100)
    await hall.start()
    hall.bus.away = True
    await hall.clock.advance(2)
    await encoded(raw)
    hall.bus.away = False
    await hall.clock.advance(1)
    await hall.ended()


@pytest.mark.parametrize("kind", [Reel, EndlessReel])
async def test_a_stop_ends_every_camera(kind: type[Reel]) -> None:
    """Even one that never runs out and never waits; what was exposed is still announced, and the camera is closed."""
    hall = Hall()
    hall.sources[CAMERA] = kind(hall.clock, shots(1_000))
    await hall.start()
    await hall.clock.advance(0.015)
    hall.stop.set()
    await hall.clock.advance(0.05)
    await hall.ended()
    assert hall.sources[CAMERA].closed == 1
    assert await hall.announced()
