"""Cameras that do what their names say, around the ingest service on the in-process bus."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from detector.decode import decode_frame
from ingest.part_register.base import AbsentPartRegister, PartRegister
from ingest.photo_eye.base import PhotoEye
from ingest.photo_eye.memory import MemoryPhotoEye
from ingest.preparation import Preparation
from ingest.service import Equipment, IngestService
from ingest.sources.base import Shot
from shared.bus.memory import MemoryBus
from shared.camera_settings import CameraSettings
from shared.clock import NS_PER_MS, ManualClock
from shared.domain import CameraReport, PartAnnouncement, Picture
from shared.envelope import Headers, capture_of
from shared.errors import SignalUnreachableError, SourceUnavailableError
from shared.settings import LineSettings, Settings
from shared.wire import Encoding, FrameMessage, decode, kind_of
from tests.lines import CAMERA, eventually, line_settings, read_all, topics_for
from tests.outages import CuttableBus, CuttableStore

PIXELS = np.full((24, 32, 3), (200, 100, 50), dtype=np.uint8)


def limited(settings: Settings, *, max_rate_hz: float) -> Settings:
    """Return settings whose cameras may send no more than that."""
    (line,) = settings.lines
    cameras = tuple(camera.model_copy(update={"max_rate_hz": max_rate_hz}) for camera in line.cameras)
    return settings.model_copy(update={"lines": (line.model_copy(update={"cameras": cameras}),)})


def on_line(settings: Settings, **values: object) -> Settings:
    """Return settings whose one line has other values."""
    (line,) = settings.lines
    return settings.model_copy(update={"lines": (line.model_copy(update=values),)})


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
        self.asked = 0
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
        self.asked += 1
        await self._clock.sleep(0.01)
        if not self._shots:
            return None
        shot = self._shots.pop(0)
        if isinstance(shot, Exception):
            raise shot
        return replace(shot, captured_at_ns=shot.captured_at_ns or self._clock.utc_ns())

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
        self.reports: list[CameraReport] = []

    async def publish(
        self, topic: str, value: bytes, *, key: bytes | None, partition: int, headers: Headers = ()
    ) -> None:
        """Publish, and remember what it was about."""
        await super().publish(topic, value, key=key, partition=partition, headers=headers)
        capture = capture_of(headers)
        if capture is None:
            self.reports.append(decode(CameraReport, value)[0])
        else:
            self.order.append((topic.rpartition(".")[2], capture.part_id))


class Hall:
    """Cameras, a bus and an ingest service between them."""

    def __init__(self, *names: str, partitions: int = 1, encoding: Encoding = Encoding.JPEG) -> None:
        self.clock = ManualClock()
        self.settings: Settings = line_settings(cameras=names or (CAMERA,), partitions=partitions, encoding=encoding)
        self.bus = OrderedBus(self.clock)
        self.store = CuttableStore.embedded(self.clock)
        self.sources: dict[str, Reel] = {}
        self.seen: list[tuple[str, int]] = []
        self.eye: PhotoEye = MemoryPhotoEye(lambda part, at_ns: self.seen.append((part, at_ns)))
        self.register: PartRegister = AbsentPartRegister()
        self.preparation = Preparation()
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
            equipment=Equipment(
                source=self.source,
                photo_eye=self.photo_eye,
                register=lambda _: self.register,
                preparation=lambda _: self.preparation,
            ),
        )
        self.serving = asyncio.create_task(service.run(self.stop))

    async def play(self, seconds: float = 0.2) -> None:
        """Let the cameras run for a while, and then the service come to its end."""
        await self.start()
        await self.clock.advance(seconds)
        await self.ended()

    async def step_through(self, shots: int) -> None:
        """Let the camera play so many shots, each once other threads are done with the one before."""
        await self.start()
        for turn in range(shots + 1):
            await eventually(lambda asked=turn: self.sources[CAMERA].asked > asked)  # type: ignore[misc]
            await self.clock.advance(0.01)
        await self.ended()

    async def ended(self) -> None:
        """Wait for the service's end without moving the clock."""
        assert self.serving is not None
        await eventually(self.serving.done)
        await self.serving

    async def announced(self) -> list[PartAnnouncement]:
        """Return the announcements, by part."""
        records = await read_all(self.bus, self.settings.topics.captures)
        parts = [
            decode(PartAnnouncement, record.value)[0] for record in records if kind_of(record.value) is PartAnnouncement
        ]
        return sorted(parts, key=lambda part: part.part_id)

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
    await eventually(lambda: gc.collect(0) >= 0 and not any(picture() is not None for picture in raw))


def shots(count: int, pixels: NDArray[np.uint8] | None = PIXELS) -> list[Shot | Exception]:
    """Return shots that are exposed when they are read."""
    return [Shot(pixels, 0) for _ in range(count)]
