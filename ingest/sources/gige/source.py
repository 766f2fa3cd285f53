"""A GigE Vision camera as a source."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from ingest.sources.base import Shot
from ingest.sources.exposure_clock import ExposureClock
from ingest.sources.gige.camera import Connect
from ingest.sources.gige.configure import SOFTWARE
from ingest.sources.gige.discovery import find
from ingest.sources.gige.gvcp import FoundCamera
from ingest.sources.gige.handover import Handover
from ingest.sources.gige.pulse import GvcpPulse
from ingest.sources.gige.session import OpenPulse, Plan, Session
from shared.camera_settings import CameraSettings
from shared.clock import Clock
from shared.errors import ConfigError

SCHEME: Final = "gige://"


class GigeSource:
    """The camera of a serial number, address, user-defined name, MAC or device id; of `gige://` the only one there is.

    `interfaces` are the addresses of this host's interfaces to look for it on, None looks on all; `connect` takes
    control of it. Free run gives pictures at the camera's pace; with `trigger = "software"` each `trigger` gives one.
    A lost camera is noticed within half a second by its pulse, in free run or not.
    """

    numbers_parts = False

    def __init__(  # noqa: PLR0917 - what it needs of the world comes last, and tests give it
        self,
        camera: CameraSettings,
        clock: Clock,
        connect: Connect,
        interfaces: Sequence[str] | None = None,
        find_camera: Callable[[str, Sequence[str] | None], FoundCamera] = find,
        open_pulse: OpenPulse = GvcpPulse,
    ) -> None:
        selector = camera.source.get_secret_value().removeprefix(SCHEME).rstrip("/")
        self._settings = camera.gige
        self._limit = camera.limit
        self._clock = clock
        self._exposure_clock = ExposureClock(camera.clock)
        self._plan = Plan(
            find=partial(find_camera, selector, interfaces),
            connect=connect,
            open_pulse=open_pulse,
            settings=camera.gige,
            stall_s=camera.stall_ms / 1_000,
            synchronise=camera.clock != "receipt",
        )
        self._session: Session | None = None
        self._handover: Handover | None = None
        self._past: Counter[str] = Counter()
        self._read = 0

    @property
    def counts(self) -> Mapping[str, int]:
        """Frames that were whole, incomplete, missing or without a buffer; packets missing, resent and ignored."""
        counts = Counter(self._past)
        if self._session is not None:
            counts.update(self._session.counts)
        counts["times_not_taken"] = self._exposure_clock.implausible
        return counts

    async def open(self) -> None:
        """Find the camera, take control, set its features and start it.

        Raises `ConfigError` for a feature that it refuses, and when several cameras go by its name.
        """
        loop = asyncio.get_running_loop()
        await self.close()
        self._handover = Handover(loop, self._settings.buffers)
        self._session = Session(self._plan, self._handover, self._clock, self._exposure_clock)
        self._session.start()
        try:
            await self._session.opened
        except asyncio.CancelledError:
            # Whatever the thread is in now, it lets go of the camera afterwards.
            self._session.stop()
            raise

    async def read(self) -> Shot | None:
        """Return the next exposure; one without picture has a fault."""
        if self._handover is None:
            raise AssertionError("read() before open()")
        if self._limit is not None and self._read >= self._limit:
            return None
        shot = await self._handover.get()
        self._read += 1
        return shot

    async def trigger(self) -> None:
        """Take one picture, which `read` gives. Raises `ConfigError` unless `trigger` is set to `software`."""
        if self._settings.trigger != SOFTWARE:
            raise ConfigError(
                f"the camera's trigger is {self._settings.trigger!r}", 'Set trigger = "software" to trigger it here.'
            )
        if self._session is None:
            raise AssertionError("trigger() before open()")
        await asyncio.to_thread(self._session.trigger)

    async def close(self) -> None:
        """Stop the camera and leave its control, so that the next client finds it free."""
        session, self._session, self._handover = self._session, None, None
        if session is not None:
            await session.end()
            self._past.update(session.counts)
