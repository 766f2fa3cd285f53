"""One opening of a camera: a thread that takes control, streams and lets go, whatever happens."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeAlias

from ingest.sources.exposure_clock import ExposureClock
from ingest.sources.gige.camera import Camera, Connect, RefusedError
from ingest.sources.gige.configure import configure
from ingest.sources.gige.exposures import Exposures
from ingest.sources.gige.gvcp import FoundCamera
from ingest.sources.gige.handover import Handover
from ingest.sources.gige.pulse import Pulse
from ingest.sources.gige.watch import Watch
from shared.camera_settings import GigeSettings
from shared.clock import NS_PER_MS, Clock
from shared.errors import ConfigError, SourceUnavailableError
from shared.log import get_logger

_POP_MS: Final = 20
_STATISTICS_EVERY_NS: Final = 250 * NS_PER_MS
OpenPulse: TypeAlias = Callable[[str, str], Pulse]


@dataclass(frozen=True, slots=True)
class Plan:
    """How to open the camera and what to do with it."""

    find: Callable[[], FoundCamera]
    connect: Connect
    open_pulse: OpenPulse
    settings: GigeSettings
    stall_s: float
    synchronise: bool


@dataclass(frozen=True, slots=True)
class _Running:
    """A camera that streams, and what is made of it."""

    camera: Camera
    pulse: Pulse
    watch: Watch
    exposures: Exposures


class Session:
    """Opens the camera in a thread of its own and hands its shots over until it is stopped or the camera is lost.

    All that Aravis may block in happens there: 2.5 s for each question that a dead camera does not answer, 10 s until
    it has let go of one. `opened` ends when the camera streams, or with the error that it could not be opened for.
    """

    def __init__(self, plan: Plan, handover: Handover, clock: Clock, exposure_clock: ExposureClock) -> None:
        self._plan = plan
        self._handover = handover
        self._clock = clock
        self._exposure_clock = exposure_clock
        self._loop = asyncio.get_running_loop()
        self._stop = threading.Event()
        self._camera: Camera | None = None
        self._counts: Counter[str] = Counter()
        self._statistics: Mapping[str, int] = {}
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self._let_go: asyncio.Future[None] = self._loop.create_future()
        # A thread that hangs in Aravis must not hold up the end of the process.
        self._thread = threading.Thread(target=self._run, name="gige", daemon=True)

    def start(self) -> None:
        """Begin to open the camera."""
        self._thread.start()

    @property
    def counts(self) -> Counter[str]:
        """What was counted since the session began."""
        counts = Counter(self._counts)
        counts.update(self._statistics)
        counts.update(self._handover.counts)
        return counts

    def trigger(self) -> None:
        """Trigger by software; blocks for the camera's answer. Raises `ConfigError` when the camera refuses."""
        camera = self._camera
        if camera is None:
            raise SourceUnavailableError("a camera that is not open cannot be triggered", "Open it first.")
        try:
            camera.trigger()
        except RefusedError as error:
            raise ConfigError(f"the camera takes no software trigger ({error})", "Check its trigger.") from error

    def stop(self) -> None:
        """Let the thread end as soon as can be."""
        self._stop.set()

    async def end(self) -> None:
        """Stop and return once control is left. A camera that is lost is let go of later, in the thread."""
        self._stop.set()
        await self._let_go

    def _run(self) -> None:
        running: _Running | None = None
        error: Exception | None = None
        try:
            running = self._open()
            self._stream(running)
        except Exception as caught:  # noqa: BLE001 - the thread's outermost edge: `opened` and `read` raise it
            error = caught
        self._camera = None
        lost = isinstance(error, SourceUnavailableError)
        if lost:
            # At once: Aravis needs 10 s to let go of a camera that does not answer.
            self._in_loop(self._tell, error)
        if running is not None:
            running.pulse.close()
            running.camera.close(alive=not lost)
        if not lost:
            self._in_loop(self._tell, error)

    def _open(self) -> _Running:
        plan = self._plan
        found = plan.find()
        camera = plan.connect(found.address, found.interface)
        try:
            configured = configure(camera, plan.settings, synchronise=plan.synchronise)
            camera.start(buffers=plan.settings.buffers, resend=plan.settings.packet_resend, chunks=configured.chunks)
            pulse = plan.open_pulse(found.address, found.interface)
        except BaseException as error:
            camera.close(alive=not isinstance(error, SourceUnavailableError))
            raise
        get_logger("ingest").info("camera.streams", found=str(found), packet_bytes=configured.packet_size_bytes)
        self._camera = camera
        self._in_loop(self._tell_opened)
        return _Running(
            camera,
            pulse,
            Watch(str(found), configured.period_s, plan.stall_s),
            Exposures(self._exposure_clock, self._counts, configured.chunks),
        )

    def _stream(self, running: _Running) -> None:
        camera, pulse = running.camera, running.pulse
        last_frame_ns = last_whole_ns = counted_ns = self._clock.monotonic_ns()
        try:
            while not self._stop.is_set():
                frame = camera.pop(_POP_MS)
                now_ns = self._clock.monotonic_ns()
                if frame is not None:
                    last_frame_ns = now_ns
                    last_whole_ns = now_ns if frame.problem is None else last_whole_ns
                    for shot in running.exposures.of_frame(frame):
                        self._handover.put(shot)
                pulse.poll(now_ns)
                loss = running.watch.loss(
                    now_ns,
                    last_frame_ns=last_frame_ns,
                    last_whole_ns=last_whole_ns,
                    pulse=pulse,
                    in_control=camera.in_control(),
                )
                if loss is not None:
                    raise loss
                if now_ns - counted_ns >= _STATISTICS_EVERY_NS:
                    counted_ns = now_ns
                    self._statistics = camera.statistics()
        finally:
            self._statistics = camera.statistics()

    def _in_loop(self, step: Callable[..., None], *arguments: object) -> None:
        # A loop that was closed meanwhile has nobody who waits.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(step, *arguments)

    def _tell_opened(self) -> None:
        if not self.opened.done():
            self.opened.set_result(None)

    def _tell(self, error: Exception | None) -> None:
        """Tell that nothing more comes, and why."""
        if error is not None:
            self._handover.fail(error)
            if not self.opened.done():
                self.opened.set_exception(error)
        if not self._let_go.done():
            self._let_go.set_result(None)
