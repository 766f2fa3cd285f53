"""One camera at work: each exposure is identified, prepared, announced, and its frame put into the outbox."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from ingest.claim import MOST_BYTES
from ingest.encode import check_fits
from ingest.health import Health
from ingest.identity.base import Identity, Numbering, Odd
from ingest.limit import RateLimit
from ingest.line_parts import LineParts, SeenPart
from ingest.messages import Messages
from ingest.outbox import TOO_MANY, Outbox
from ingest.part_register.base import PartRegister
from ingest.photo_eye.base import PhotoEye
from ingest.preparation import BAD_PICTURE, Preparation
from ingest.reports import Reports
from ingest.sources.base import Fault, Shot, Source
from shared import metrics
from shared.camera_settings import CameraSettings
from shared.clock import NS_PER_MS, Clock, wait_event
from shared.domain import CameraReport, CameraState, Capture, CaptureId, NotInspected, Picture
from shared.errors import ConfigError, SignalError, SourceUnavailableError
from shared.log import Logger
from shared.settings import LineSettings, Settings

_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 5.0
_REGISTER_S: Final = 0.05
_MIB: Final = 1024 * 1024
MISSED: Final = "missed"
_NO_PICTURE_CAN_COME: Final = (Fault.LOST.value, MISSED, TOO_MANY, Odd.UNIDENTIFIED.value)


@dataclass(frozen=True, slots=True)
class Station:
    """What the cameras of a line share."""

    line: LineSettings
    epoch: int
    photo_eye: PhotoEye
    register: PartRegister
    parts: LineParts = field(default_factory=LineParts)


class Camera:
    """Reads a source until it ends, opening it again whenever it is lost; nothing that it exposed goes uncounted."""

    def __init__(
        self,
        settings: Settings,
        station: Station,
        camera: CameraSettings,
        source: Source,
        *,
        numbering: Numbering,
        preparation: Preparation,
        messages: Messages,
        reports: Reports,
        clock: Clock,
        log: Logger,
    ) -> None:
        self._settings = settings
        self._station = station
        self._camera = camera
        self.source = source
        self._numbering = numbering
        self._preparation = preparation
        self._messages = messages
        self._reports = reports
        self._clock = clock
        self._log = log.bind(line=station.line.name, camera=camera.name)
        self._limit = RateLimit(camera.max_rate_hz)
        self._health = Health()
        self._labels = (station.line.name, camera.name)
        self._sequence = 0
        self._last_at_ns = 0
        self._checked = False
        self._told: Counter[str] = Counter()
        self._seen: Counter[str] = Counter()

    async def run(self, outbox: Outbox, stop: asyncio.Event, lost: SourceUnavailableError | None) -> None:
        """Read an opened source, or first wait for one that was `lost`, until it ends or `stop` is set."""
        pause_s = _FIRST_PAUSE_S
        try:
            while not stop.is_set():
                try:
                    if lost is not None:
                        self._lost(lost, outbox, pause_s)
                        await self.source.close()
                        await self._wait(stop, pause_s, outbox)
                        pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)
                        await self.source.open()
                    lost = None
                    self._station.parts.back(self._camera.name)
                    metrics.CAMERA_UP.labels(*self._labels).set(1)
                    self._log.info("camera.opened")
                    while (shot := await self._read(stop)) is not None:
                        pause_s = _FIRST_PAUSE_S
                        await self._take(shot, outbox)
                except SourceUnavailableError as error:
                    lost = error
                else:
                    break
        finally:
            await self.source.close()
            self._count_events()
            metrics.CAMERA_UP.labels(*self._labels).set(0)
        self._log.info("camera.ended", captures=self._sequence, dropped=dict(outbox.dropped))

    async def _read(self, stop: asyncio.Event) -> Shot | None:
        """Return the next shot, or None at the source's end or at `stop`, whichever is first."""
        if stop.is_set():
            return None
        reading = asyncio.ensure_future(self.source.read())
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({reading, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return await reading if reading.done() else None
        finally:
            for task in (reading, stopping):
                task.cancel()
            await asyncio.gather(reading, stopping, return_exceptions=True)

    async def _take(self, shot: Shot, outbox: Outbox) -> None:
        self._count_events()
        identity = self._numbering.number(shot, await self._reading())
        if identity is Odd.DOUBLED:
            self._event(f"skipped_{identity.value}", trigger=shot.trigger, number=shot.number)
            return
        if isinstance(identity, Identity):
            for turn, number in enumerate(identity.missed, start=1):
                self._event(MISSED, number=number)
                share = turn / (len(identity.missed) + 1)
                at_ns = round(self._last_at_ns + (shot.captured_at_ns - self._last_at_ns) * share)
                await self._begin(Shot(None, at_ns), self._part_id(number), MISSED, outbox)
            await self._begin(shot, self._part_id(identity.number), shot.fault, outbox)
        else:
            self._event(identity.value)
            part_id = f"{self._station.epoch:x}-u{self._sequence + 1:06d}-{self._place}"
            await self._begin(shot, part_id, identity.value, outbox)
        self._last_at_ns = shot.captured_at_ns

    async def _begin(self, shot: Shot, part_id: str, fault: str | None, outbox: Outbox) -> None:
        """Announce the part that a shot shows, and send its frame unless there is a `fault`."""
        line, parts = self._station.line, self._station.parts
        self._sequence += 1
        pixels, reason = await self._judged(shot, fault)
        passed_at_ns = shot.captured_at_ns - round(self._camera.offset_ms * NS_PER_MS)
        part, new = parts.exposed(
            part_id,
            self._camera.name,
            passed_at_ns=passed_at_ns,
            decide_by_ns=line.decide_by_ns(passed_at_ns),
            label=shot.label,
        )
        capture = self._capture(part, self._sequence, shot.captured_at_ns)
        if new:
            await self._tell_plc(part)
        metrics.CAPTURES.labels(*self._labels).inc()
        missing = dict.fromkeys(parts.blind(part), NotInspected.CAMERA_OFFLINE)
        if reason is not None:
            outbox.refuse(capture, reason)
            unseen = reason in _NO_PICTURE_CAN_COME
            missing[self._camera.name] = NotInspected.NO_VERDICT if unseen else NotInspected.BAD_IMAGE
        outbox.put(
            capture,
            self._messages.announcement(line, capture, part, missing),
            None if pixels is None else partial(self._messages.frame, self._camera, capture, pixels),
            size_bytes=0 if pixels is None else pixels.nbytes,
        )

    async def _judged(self, shot: Shot, fault: str | None) -> tuple[Picture | None, str | None]:
        """Return the picture to send, or None and why there is none."""
        if fault is None and shot.pixels is None:
            fault = Fault.UNREADABLE
        if fault is not None or shot.pixels is None:
            return None, str(fault)
        if not self._limit.admits(self._clock.monotonic_ns()):
            return None, TOO_MANY
        prepared = await self._preparation.of(shot.pixels)
        if isinstance(prepared, str):
            if self._health.bad():
                cause = prepared.removeprefix(BAD_PICTURE)
                self._report(CameraState.BAD_PICTURE, cause, f"its pictures are {cause}: parts are not inspected")
            return None, prepared
        if self._health.good():
            self._report(CameraState.ONLINE, "", "it sends good pictures")
        if not self._checked:
            self._check_size(prepared)
            self._checked = True
        return prepared, None

    def _lost(self, error: SourceUnavailableError, outbox: Outbox, pause_s: float) -> None:
        self._log.warning("camera.lost", error=str(error), cause=error.cause.value, retry_s=pause_s)
        self._count_events()
        metrics.CAMERA_UP.labels(*self._labels).set(0)
        if self._health.lost():
            metrics.CAMERA_LOSSES.labels(*self._labels, error.cause.value).inc()
            self._report(CameraState.OFFLINE, error.cause.value, str(error))
            for part in self._station.parts.lost(self._camera.name, self._clock.utc_ns()):
                self._say_unseen(part, outbox)

    def _say_unseen(self, part: SeenPart, outbox: Outbox) -> None:
        """Announce a part again, which this camera, being offline, did not see."""
        capture = self._capture(part, 0, part.passed_at_ns)
        missing = {self._camera.name: NotInspected.CAMERA_OFFLINE}
        outbox.put(capture, self._messages.announcement(self._station.line, capture, part, missing), None, size_bytes=0)

    async def _wait(self, stop: asyncio.Event, pause_s: float, outbox: Outbox) -> None:
        """Wait before the next attempt; parts that the PLC numbers meanwhile are announced as not seen."""
        if self._station.line.parts.identity != "register":
            await wait_event(self._clock, stop, pause_s)
            return
        until_ns = self._clock.monotonic_ns() + round(pause_s * 1e9)
        while not stop.is_set() and self._clock.monotonic_ns() < until_ns:
            now_ns = self._clock.utc_ns()
            identity = self._numbering.number(Shot(None, now_ns), await self._reading())
            if isinstance(identity, Identity):
                for number in (*identity.missed, identity.number):
                    line = self._station.line
                    part, new = self._station.parts.exposed(
                        self._part_id(number),
                        None,
                        passed_at_ns=now_ns,
                        decide_by_ns=line.decide_by_ns(now_ns),
                        label=None,
                    )
                    if new:
                        await self._tell_plc(part)
                    self._say_unseen(part, outbox)
            await wait_event(self._clock, stop, _REGISTER_S)

    async def _unseen(self, part_id: str, passed_at_ns: int, outbox: Outbox) -> None:
        """Announce a part that the PLC knows of, while this camera is offline."""
        decide_by_ns = self._station.line.decide_by_ns(passed_at_ns)
        part, new = self._station.parts.exposed(
            part_id, None, passed_at_ns=passed_at_ns, decide_by_ns=decide_by_ns, label=None
        )
        if new:
            await self._tell_plc(part)
        self._say_unseen(part, outbox)

    async def _reading(self) -> int | None:
        try:
            return await self._station.register.read()
        except SignalError as error:
            self._event("register_unread", error=str(error))
            return None

    async def _tell_plc(self, part: SeenPart) -> None:
        try:
            await self._station.photo_eye.part_passed(
                part.part_id, part.passed_at_ns + self._station.line.gate_delay_ns
            )
        except SignalError as error:
            self._log.warning("photo_eye.failed", part=part.part_id, error=str(error))

    def _part_id(self, number: int) -> str:
        # The PLC knows the part by its own number alone.
        return (
            str(number) if self._station.line.parts.identity == "register" else f"{self._station.epoch:x}-{number:06d}"
        )

    def _capture(self, part: SeenPart, sequence: int, captured_at_ns: int) -> Capture:
        line, camera = self._labels
        return Capture(
            id=CaptureId(line, camera, self._station.epoch, sequence),
            part_id=part.part_id,
            captured_at_ns=captured_at_ns,
            decide_by_ns=part.decide_by_ns,
        )

    @property
    def _place(self) -> int:
        """Return which of the line's cameras this is."""
        return [camera.name for camera in self._station.line.cameras].index(self._camera.name)

    def _report(self, state: CameraState, cause: str, text: str) -> None:
        line, camera = self._labels
        report = CameraReport(line, camera, state, cause, f"camera {camera}: {text}", self._clock.utc_ns())
        self._reports.say(f"{line}/{camera}", self._messages.report(report))

    def _event(self, name: str, **fields: object) -> None:
        """Count something odd, and say it the first time."""
        metrics.SOURCE_EVENTS.labels(*self._labels, name).inc()
        if not self._seen[name]:
            self._log.warning(f"camera.{name}", **fields)
        self._seen[name] += 1

    def _count_events(self) -> None:
        """Pass on what the source counted since the last time."""
        for name, count in self.source.counts.items():
            if count > self._told[name]:
                metrics.SOURCE_EVENTS.labels(*self._labels, name).inc(count - self._told[name])
                self._told[name] = count

    def _check_size(self, pixels: Picture) -> None:
        bus, spool_mib = self._settings.bus, self._settings.ingest.spool_mib
        if pixels.nbytes > spool_mib * _MIB:
            raise ConfigError(
                f"camera {self._camera.name!r}: one frame takes {pixels.nbytes} bytes, its spool {spool_mib} MiB",
                "Raise ingest.spool_mib to what several frames take.",
            )
        try:
            # Whatever goes by reference is limited by the store alone, and what does not is small enough.
            limit_bytes = bus.max_message_bytes if bus.claim_check_bytes is None else MOST_BYTES
            check_fits(pixels, self._camera.encoding_of(pixels), limit_bytes=limit_bytes)
        except ConfigError as error:
            raise ConfigError(f"camera {self._camera.name!r}: {error}") from None
