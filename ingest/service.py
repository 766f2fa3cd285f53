"""The ingest service: each exposure is announced before its frame is sent, even one that gave no picture."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from ingest.announcer import Station
from ingest.camera import Camera
from ingest.claim import Deposits
from ingest.identity.base import ByCount, Numbering
from ingest.identity.counters import ByRegister, ByTrigger
from ingest.identity.place import Belt, ByPlace
from ingest.identity.window import ByWindow, Join
from ingest.messages import Messages
from ingest.outbox import open_outbox
from ingest.part_register.base import PartRegister
from ingest.photo_eye.base import PhotoEye
from ingest.preparation import Preparation
from ingest.reports import Reports
from ingest.sources.base import Source
from shared.bus.base import Bus
from shared.bus.breaker import Breaker
from shared.camera_settings import CameraSettings
from shared.clock import NS_PER_MS, Clock
from shared.errors import ConfigError, SourceUnavailableError
from shared.log import get_logger
from shared.partition_plan import PartitionPlan
from shared.settings import LineSettings, Settings
from shared.store.base import PayloadStore

_MIB: Final = 1024 * 1024
_Answer: TypeAlias = "asyncio.Future[SourceUnavailableError | None]"


@dataclass(frozen=True, slots=True)
class Equipment:
    """How the service gets at what stands beside the line; each raises `ConfigError` for what cannot be."""

    source: Callable[[CameraSettings], Source]
    photo_eye: Callable[[LineSettings], PhotoEye]
    register: Callable[[LineSettings], PartRegister]
    preparation: Callable[[CameraSettings], Preparation]


class IngestService:
    """Runs the cameras of all lines in the settings; returns when all their sources have ended, or at `stop`."""

    name = "ingest"

    def __init__(
        self,
        settings: Settings,
        *,
        plan: PartitionPlan,
        bus: Bus,
        payloads: PayloadStore,
        clock: Clock,
        equipment: Equipment,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._equipment = equipment
        self._log = get_logger("ingest")
        self._breaker = Breaker(bus, clock, self._log)
        self._deposits = Deposits(payloads, clock, self._log)
        self._messages = Messages(settings, plan, clock)
        self._reports = Reports(self._breaker, clock, self._log)

    async def run(self, stop: asyncio.Event) -> None:
        """Publish until the sources end.

        A camera that is away is tried again for ever; but if none at all answers at the start, that is an error, and
        so is a first frame that is too large for the bus.
        """
        epoch = self._clock.utc_ns() // NS_PER_MS
        stations = [
            Station(line, epoch, self._equipment.photo_eye(line), self._equipment.register(line))
            for line in self._settings.lines
        ]
        try:
            cameras = [camera for station in stations for camera in self._cameras(station)]
            answers = [asyncio.get_running_loop().create_future() for _ in cameras]
            async with asyncio.TaskGroup() as tasks:
                reporting = tasks.create_task(self._reports.run())
                judging = tasks.create_task(_one_answers(answers))
                async with asyncio.TaskGroup() as running:
                    for camera, answered in zip(cameras, answers, strict=True):
                        running.create_task(self._run_camera(camera, stop, answered))
                judging.cancel()
                self._reports.close()
                await reporting
        finally:
            for station in stations:
                await station.photo_eye.close()
                await station.register.close()

    async def _run_camera(self, camera: Camera, stop: asyncio.Event, answered: _Answer) -> None:
        async with open_outbox(
            self._breaker,
            deposits=self._deposits,
            clock=self._clock,
            log=self._log,
            spool_bytes=self._settings.ingest.spool_mib * _MIB,
        ) as outbox:
            await camera.run(outbox, stop, answered)

    def _cameras(self, station: Station) -> list[Camera]:
        parts = station.line.parts
        join = Join(round(parts.window_ms * NS_PER_MS))
        words = None if parts.address is None else parts.words
        belt = Belt(pitch_counts=parts.pitch_counts or 1.0, words=words)
        return [
            self._camera(station, camera, _numbering(station.line, camera, join, belt))
            for camera in station.line.cameras
        ]

    def _camera(self, station: Station, camera: CameraSettings, numbering: Numbering) -> Camera:
        line = station.line
        source = self._equipment.source(camera)
        if len(line.cameras) > 1 and line.parts.identity == "camera" and not source.numbers_parts:
            raise ConfigError(
                f"camera {camera.name!r} of line {line.name!r} gives no part numbers",
                "Several cameras of a line are joined by them: set parts.identity to encoder, register or window, set"
                " slate, or give the camera its own line.",
            )
        return Camera(
            self._settings,
            station,
            camera,
            source,
            numbering=numbering,
            preparation=self._equipment.preparation(camera),
            messages=self._messages,
            reports=self._reports,
            clock=self._clock,
            log=self._log,
        )


def _numbering(line: LineSettings, camera: CameraSettings, join: Join, belt: Belt) -> Numbering:
    parts = line.parts
    match parts.identity:
        case "trigger":
            return ByTrigger()
        case "encoder":
            return ByPlace(belt, offset_counts=camera.offset_counts)
        case "register":
            return ByRegister()
        case "window":
            return ByWindow(
                join,
                camera.name,
                offset_ns=round(camera.offset_ms * NS_PER_MS),
                window_ns=round(parts.window_ms * NS_PER_MS),
            )
        case "camera":
            return ByCount()


async def _one_answers(answers: Sequence[_Answer]) -> None:
    """Raise the first camera's error once all have been tried and none answers."""
    outcomes = await asyncio.gather(*answers)
    away = [outcome for outcome in outcomes if outcome is not None]
    if len(away) == len(outcomes):
        raise away[0]
