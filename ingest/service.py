"""The ingest service: each exposure is announced before its frame is sent, even one that gave no picture."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from ingest.claim import MOST_BYTES, Deposits, Packed, pack
from ingest.encode import check_fits, encode_pixels
from ingest.limit import RateLimit
from ingest.outbox import TOO_MANY, Outbox, open_outbox
from ingest.photo_eye.base import PhotoEye
from ingest.sources.base import Shot, Source
from shared import metrics
from shared.bus.base import Bus, Publication
from shared.bus.breaker import Breaker
from shared.camera_settings import CameraSettings
from shared.clock import NS_PER_MS, Clock, wait_event
from shared.domain import Capture, CaptureId, PartAnnouncement, Picture
from shared.envelope import capture_headers
from shared.errors import ConfigError, SignalError, SourceUnavailableError
from shared.log import get_logger
from shared.partition_plan import PartitionPlan
from shared.settings import LineSettings, Settings
from shared.store.base import PayloadStore
from shared.topics import camera_key, part_key
from shared.wire import FrameMessage, encode

_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 5.0
_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Session:
    """A camera at work: which line it belongs to, and what its captures are numbered under."""

    line: LineSettings
    camera: CameraSettings
    epoch: int
    photo_eye: PhotoEye | None
    limit: RateLimit


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
        source: Callable[[CameraSettings], Source],
        photo_eye: Callable[[LineSettings], PhotoEye],
    ) -> None:
        self._settings = settings
        self._topics = settings.topics
        self._plan = plan
        self._clock = clock
        self._source = source
        self._photo_eye = photo_eye
        self._log = get_logger("ingest")
        self._breaker = Breaker(bus, clock, self._log)
        self._deposits = Deposits(payloads, clock, self._log)

    async def run(self, stop: asyncio.Event) -> None:
        """Publish until the sources end.

        A camera that is away is tried again for ever; but if none at all answers at the start, that is an error, and
        so is a first frame that is too large for the bus.
        """
        epoch = self._clock.utc_ns() // NS_PER_MS
        cameras = [self._prepare(line, camera, epoch) for line in self._settings.lines for camera in line.cameras]
        answers = await asyncio.gather(*(_try_to_open(source) for _, source in cameras))
        away = [answer for answer in answers if answer is not None]
        if len(away) == len(cameras):
            raise away[0]
        async with asyncio.TaskGroup() as tasks:
            for (session, source), error in zip(cameras, answers, strict=True):
                tasks.create_task(self._run_camera(session, source, stop, error))

    def _prepare(self, line: LineSettings, camera: CameraSettings, epoch: int) -> tuple[_Session, Source]:
        source = self._source(camera)
        if len(line.cameras) > 1 and not source.numbers_parts:
            raise ConfigError(
                f"camera {camera.name!r} of line {line.name!r} gives no part numbers",
                "Several cameras of a line are joined by them: set slate, or give the camera its own line.",
            )
        # One camera of a line is enough for the PLC to learn of the part.
        eye = self._photo_eye(line) if camera is line.cameras[0] else None
        return _Session(line, camera, epoch, eye, RateLimit(camera.max_rate_hz)), source

    async def _run_camera(
        self, session: _Session, source: Source, stop: asyncio.Event, lost: SourceUnavailableError | None
    ) -> None:
        """Read an opened source, or first wait for one that was `lost`; open it again whenever it is lost."""
        log = self._log.bind(line=session.line.name, camera=session.camera.name)
        sequence = 0
        pause_s = _FIRST_PAUSE_S
        try:
            async with open_outbox(
                self._breaker,
                deposits=self._deposits,
                clock=self._clock,
                log=log,
                spool_bytes=self._settings.ingest.spool_mib * _MIB,
            ) as outbox:
                while not stop.is_set():
                    try:
                        if lost is not None:
                            log.warning("camera.lost", error=str(lost), retry_s=pause_s)
                            await source.close()
                            await wait_event(self._clock, stop, pause_s)
                            pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)
                            await source.open()
                        lost = None
                        log.info("camera.opened")
                        while (shot := await self._read(source, stop)) is not None:
                            sequence += 1
                            pause_s = _FIRST_PAUSE_S
                            await self._begin(session, sequence, shot, outbox)
                    except SourceUnavailableError as error:
                        lost = error
                    else:
                        break
        finally:
            await source.close()
            if session.photo_eye is not None:
                await session.photo_eye.close()
        log.info("camera.ended", captures=sequence, dropped=dict(outbox.dropped))

    async def _read(self, source: Source, stop: asyncio.Event) -> Shot | None:
        """Return the next shot, or None at the source's end or at `stop`, whichever is first."""
        if stop.is_set():
            return None
        reading = asyncio.ensure_future(source.read())
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({reading, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return await reading if reading.done() else None
        finally:
            for task in (reading, stopping):
                task.cancel()
            await asyncio.gather(reading, stopping, return_exceptions=True)

    async def _begin(self, session: _Session, sequence: int, shot: Shot, outbox: Outbox) -> None:
        line = session.line
        number = sequence if shot.number is None else shot.number
        capture = Capture(
            id=CaptureId(line.name, session.camera.name, session.epoch, sequence),
            part_id=f"{session.epoch:x}-{number:06d}",
            captured_at_ns=shot.captured_at_ns,
            decide_by_ns=line.decide_by_ns(shot.captured_at_ns),
        )
        if session.photo_eye is not None:
            try:
                await session.photo_eye.part_passed(capture.part_id, shot.captured_at_ns + line.gate_delay_ns)
            except SignalError as error:
                self._log.warning("photo_eye.failed", part=capture.part_id, error=str(error))
        metrics.CAPTURES.labels(line.name, session.camera.name).inc()
        pixels = shot.pixels
        if pixels is not None and sequence == 1:
            self._check_size(session.camera, pixels)
        if pixels is not None and not session.limit.admits(self._clock.monotonic_ns()):
            outbox.refuse(capture, TOO_MANY)
            pixels = None
        outbox.put(
            capture,
            self._announcement(session, capture, shot.label),
            None if pixels is None else partial(self._frame, session.camera, capture, pixels),
            size_bytes=0 if pixels is None else pixels.nbytes,
        )

    def _check_size(self, camera: CameraSettings, pixels: Picture) -> None:
        bus, spool_mib = self._settings.bus, self._settings.ingest.spool_mib
        if pixels.nbytes > spool_mib * _MIB:
            raise ConfigError(
                f"camera {camera.name!r}: one frame takes {pixels.nbytes} bytes, its spool {spool_mib} MiB",
                "Raise ingest.spool_mib to what several frames take.",
            )
        try:
            # Whatever goes by reference is limited by the store alone, and what does not is small enough.
            limit_bytes = bus.max_message_bytes if bus.claim_check_bytes is None else MOST_BYTES
            check_fits(pixels, camera.encoding, limit_bytes=limit_bytes)
        except ConfigError as error:
            raise ConfigError(f"camera {camera.name!r}: {error}") from None

    def _announcement(self, session: _Session, capture: Capture, label: str | None) -> Publication:
        line = session.line
        announcement = PartAnnouncement(
            line=line.name,
            part_id=capture.part_id,
            cameras=tuple(camera.name for camera in line.cameras),
            captured_at_ns=capture.captured_at_ns,
            decide_by_ns=capture.decide_by_ns,
            label=label,
        )
        return Publication(
            self._topics.captures,
            encode(announcement),
            key=part_key(line.name, capture.part_id),
            partition=self._plan.of_line(line.name),
            headers=capture_headers(capture, "capture"),
        )

    def _frame(self, camera: CameraSettings, capture: Capture, pixels: Picture) -> Packed:
        """Return the frame as it goes; PictureError for pixels that cannot be encoded."""
        stamps = {"exposed": capture.captured_at_ns, "published": self._clock.utc_ns()}
        payload = encode_pixels(pixels, camera.encoding, jpeg_quality=camera.jpeg_quality)
        message = FrameMessage(
            capture=capture,
            encoding=camera.encoding,
            width_px=pixels.shape[1],
            height_px=pixels.shape[0],
            channels=1 if pixels.ndim == 2 else pixels.shape[2],  # noqa: PLR2004 - grey
            stamps_ns=stamps,
            depth_bits=pixels.dtype.itemsize * 8,
        )
        line = capture.id.line
        return pack(
            message,
            payload,
            by_reference_from=self._settings.bus.claim_check_bytes,
            publication=lambda value: Publication(
                self._topics.frames,
                value,
                key=camera_key(line, camera.name),
                partition=self._plan.of_camera(line, camera.name, capture.id.sequence),
                headers=capture_headers(capture, "frame"),
            ),
        )


async def _try_to_open(source: Source) -> SourceUnavailableError | None:
    try:
        await source.open()
    except SourceUnavailableError as error:
        return error
    return None
