"""One camera at work: each exposure is identified, prepared, announced, and its frame put into the outbox."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable
from functools import partial
from typing import Final

from ingest.announcer import Announcer, Station
from ingest.claim import MOST_BYTES
from ingest.encode import check_fits
from ingest.health import Health
from ingest.identity.base import Identity, Numbering, Odd
from ingest.limit import RateLimit
from ingest.messages import Messages
from ingest.outbox import TOO_MANY, Outbox
from ingest.preparation import BAD_PICTURE, Preparation
from ingest.reports import Reports
from ingest.sources.base import Fault, Shot, Source
from shared import metrics
from shared.camera_settings import CameraSettings
from shared.clock import NS_PER_MS, Clock, wait_event
from shared.domain import CameraState, Picture
from shared.errors import ConfigError, DataError, LinewardenError, LossCause, SignalError, SourceUnavailableError
from shared.log import Logger
from shared.settings import Settings

_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 5.0
_REGISTER_S: Final = 0.05
_DOUBLED_IN_A_ROW: Final = 10
_MIB: Final = 1024 * 1024
_OTHER_SIZE: Final = f"{BAD_PICTURE}other_size"
MISSED: Final = "missed"


class Camera:
    """Reads a source until it ends, opening it again whenever it is lost; nothing that it exposed goes uncounted.

    An error in the settings that shows with the first picture is raised. Later nothing that a camera does is: it is
    lost, and tried again, so that it stops no other.
    """

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
        self._source = source
        self._numbering = numbering
        self._preparation = preparation
        self._clock = clock
        self._log = log.bind(line=station.line.name, camera=camera.name)
        self._announcer = Announcer(station, camera, messages=messages, reports=reports, clock=clock, log=self._log)
        self._limit = RateLimit(camera.max_rate_hz)
        self._health = Health()
        self._labels = (station.line.name, camera.name)
        self._sequence = 0
        self._last_at_ns: int | None = None
        self._proven = False
        self._fits = False
        self._up = False
        self._doubled = 0
        self._unidentified = 0
        self._told: Counter[str] = Counter()
        self._events: Counter[str] = Counter()

    async def run(
        self, outbox: Outbox, stop: asyncio.Event, answered: asyncio.Future[SourceUnavailableError | None]
    ) -> None:
        """Open the source and read it until it ends or `stop` is set; `answered` gets the first attempt's outcome."""
        lost: SourceUnavailableError | None = None
        pause_s = _FIRST_PAUSE_S
        try:
            while not stop.is_set():
                try:
                    if lost is None:
                        await self._source.open()
                    else:
                        self._lost(lost, outbox, pause_s)
                        await self._source.close()
                        reopening = self._reopen(stop, pause_s)
                        pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)
                        await self._beside_register(reopening, outbox)
                    _answer(answered, None)
                    self._numbering.restarted()
                    self._log.info("camera.opened")
                    while (shot := await self._read(stop)) is not None:
                        pause_s = _FIRST_PAUSE_S
                        await self._take(shot, outbox)
                except SourceUnavailableError as error:
                    lost = error
                except DataError:
                    # A file that is damaged is so the next time, too.
                    raise
                except LinewardenError as error:
                    if not self._proven:
                        raise
                    lost = SourceUnavailableError(error.problem, error.remedy, cause=LossCause.REFUSED)
                else:
                    break
                # What comes back later with another mind must not end the others.
                self._proven = True
                _answer(answered, lost)
        finally:
            await self._source.close()
            self._count_events()
            metrics.CAMERA_UP.labels(*self._labels).set(0)
        self._log.info("camera.ended", captures=self._sequence, dropped=dict(outbox.dropped))

    async def _reopen(self, stop: asyncio.Event, pause_s: float) -> None:
        await wait_event(self._clock, stop, pause_s)
        if not stop.is_set():
            await self._source.open()

    async def _read(self, stop: asyncio.Event) -> Shot | None:
        """Return the next shot, or None at the source's end or at `stop`, whichever is first."""
        if stop.is_set():
            return None
        reading = asyncio.ensure_future(self._source.read())
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
        if not self._up:
            # Connected is not yet working: a frozen camera may be opened again and again.
            self._up = True
            self._announcer.back()
            metrics.CAMERA_UP.labels(*self._labels).set(1)
        identity = self._numbering.number(shot, await self._reading(shot))
        if identity is Odd.DOUBLED:
            self._event(f"skipped_{identity.value}", trigger=shot.trigger, number=shot.number)
            self._doubled += 1
            if self._doubled >= _DOUBLED_IN_A_ROW:
                self._bad(identity.value)
            return
        self._doubled = 0
        if isinstance(identity, Identity):
            # Those that could not be named are announced already.
            for turn, number in enumerate(missed := identity.missed[self._unidentified :], start=1):
                self._event(MISSED, number=number)
                at_ns = self._between(shot.captured_at_ns, turn / (len(missed) + 1))
                place = identity.place_of(number)
                await self._begin(Shot(None, at_ns), self._announcer.part_id(number), MISSED, outbox, place)
            self._unidentified = 0
            part_id = self._announcer.part_id(identity.number)
            await self._begin(shot, part_id, shot.fault, outbox, identity.place_counts)
        else:
            self._event(identity.value)
            self._unidentified += 1
            part_id = self._announcer.unnamed(self._sequence + 1)
            await self._begin(shot, part_id, shot.fault or identity.value, outbox)
        self._last_at_ns = shot.captured_at_ns

    def _between(self, at_ns: int, share: float) -> int:
        last_ns = at_ns if self._last_at_ns is None else self._last_at_ns
        return round(last_ns + (at_ns - last_ns) * share)

    async def _begin(
        self, shot: Shot, part_id: str, fault: str | None, outbox: Outbox, place_counts: int | None = None
    ) -> None:
        """Announce the part that a shot shows, and send its frame unless there is a `fault`."""
        self._sequence += 1
        pixels, reason = await self._judged(shot, fault)
        capture, part = await self._announcer.exposed(
            part_id, self._sequence, shot.captured_at_ns, shot.label, place_counts
        )
        metrics.CAPTURES.labels(*self._labels).inc()
        if reason is not None:
            outbox.refuse(capture, reason)
        outbox.put(
            capture,
            self._announcer.announcement(capture, part, fit=pixels is not None),
            None if pixels is None else partial(self._announcer.frame, capture, pixels),
            size_bytes=0 if pixels is None else pixels.nbytes,
            quick=pixels is not None and self._announcer.is_quick(pixels),
        )

    async def _judged(self, shot: Shot, fault: str | None) -> tuple[Picture | None, str | None]:
        """Return the picture to send, or None and why there is none."""
        if fault is None and shot.pixels is None:
            fault = Fault.UNREADABLE
        if fault is not None or shot.pixels is None:
            self._bad(str(fault))
            return None, str(fault)
        if not self._limit.admits(self._clock.monotonic_ns()):
            self._bad("too_many")
            return None, TOO_MANY
        prepared = await self._prepared(shot.pixels)
        if isinstance(prepared, str):
            self._bad(prepared.removeprefix(BAD_PICTURE))
            return None, prepared
        if not self._fits:
            self._check_size(prepared)
            self._proven = self._fits = True
        if self._health.good(self._clock.monotonic_ns()):
            self._announcer.report(CameraState.ONLINE, "", "it sends good pictures")
        return prepared, None

    async def _prepared(self, pixels: Picture) -> Picture | str:
        try:
            return await self._preparation.of(pixels)
        except ConfigError as error:
            if not self._proven:
                raise
            self._event("other_size", error=str(error))
            return _OTHER_SIZE

    def _bad(self, cause: str) -> None:
        if self._health.bad(cause):
            self._announcer.report(CameraState.BAD_PICTURE, cause)

    def _lost(self, error: SourceUnavailableError, outbox: Outbox, pause_s: float) -> None:
        self._up = False
        self._log.warning("camera.lost", error=str(error), cause=error.cause.value, retry_s=pause_s)
        self._count_events()
        metrics.CAMERA_UP.labels(*self._labels).set(0)
        self._announcer.lost(outbox)
        if self._health.lost(error.cause.value):
            metrics.CAMERA_LOSSES.labels(*self._labels, error.cause.value).inc()
            self._announcer.report(CameraState.OFFLINE, error.cause.value, str(error))

    async def _beside_register(self, step: Awaitable[None], outbox: Outbox) -> None:
        """Take a step; where the PLC numbers the parts, those that pass meanwhile are announced as not seen."""
        if self._station.line.parts.identity != "register":
            await step
            return
        watching = asyncio.ensure_future(self._watch_register(outbox))
        try:
            await step
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _watch_register(self, outbox: Outbox) -> None:
        while True:
            now_ns = self._clock.utc_ns()
            identity = self._numbering.number(nothing := Shot(None, now_ns), await self._reading(nothing))
            if isinstance(identity, Identity):
                for number in (*identity.missed, identity.number):
                    await self._announcer.passed_unseen(self._announcer.part_id(number), outbox)
            await self._clock.sleep(_REGISTER_S)

    async def _reading(self, shot: Shot) -> int | None:
        """Return what the register says, where it says it of this shot's part."""
        if shot.fault is Fault.LOST:
            return None
        try:
            number = await self._station.register.read()
        except SignalError as error:
            self._event("register_unread", error=str(error))
            return None
        age_ms = (self._clock.utc_ns() - shot.captured_at_ns) / NS_PER_MS
        if number is not None and age_ms > self._station.line.parts.fresh_ms:
            self._event("register_stale", age_ms=round(age_ms))
            return None
        return number

    def _event(self, name: str, **fields: object) -> None:
        """Count something odd, and say it the first time."""
        metrics.SOURCE_EVENTS.labels(*self._labels, name).inc()
        if not self._events[name]:
            self._log.warning(f"camera.{name}", **fields)
        self._events[name] += 1

    def _count_events(self) -> None:
        """Pass on what the source counted since the last time."""
        for name, count in self._source.counts.items():
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
            encoding = self._camera.encoding_of(pixels, raw_up_to=bus.raw_bytes)
            check_fits(pixels, encoding, limit_bytes=limit_bytes)
        except ConfigError as error:
            raise ConfigError(f"camera {self._camera.name!r}: {error}") from None


def _answer(answered: asyncio.Future[SourceUnavailableError | None], outcome: SourceUnavailableError | None) -> None:
    if not answered.done():
        answered.set_result(outcome)
