"""What one camera tells of itself and of parts: to the bus, to the PLC, to operators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ingest.claim import Packed
from ingest.line_parts import LineParts, SeenPart
from ingest.messages import Messages
from ingest.outbox import Outbox
from ingest.part_register.base import PartRegister
from ingest.photo_eye.base import PhotoEye
from ingest.reports import Reports
from shared.bus.base import Publication
from shared.camera_settings import CameraSettings
from shared.clock import NS_PER_MS, Clock
from shared.domain import CameraReport, CameraState, Capture, CaptureId, NotInspected, Picture
from shared.errors import SignalError
from shared.log import Logger
from shared.settings import LineSettings

_TEXTS: Final = {
    "incomplete": "parts of its pictures are missing",
    "lost": "its pictures do not arrive",
    "overrun": "its pictures come faster than this host takes them",
    "unreadable": "its pictures cannot be read",
    "missed": "parts passed without an exposure",
    "doubled": "its exposures show no new part: does the trigger bounce, or does a counter stand still?",
    "unidentified": "nothing says which part it exposes",
    "too_many": "it exposes more often than max_rate_hz",
}


@dataclass(frozen=True, slots=True)
class Station:
    """What the cameras of a line share."""

    line: LineSettings
    epoch: int
    photo_eye: PhotoEye
    register: PartRegister
    parts: LineParts = field(default_factory=LineParts)


class Announcer:
    """Speaks for one camera of a station."""

    def __init__(
        self,
        station: Station,
        camera: CameraSettings,
        *,
        messages: Messages,
        reports: Reports,
        clock: Clock,
        log: Logger,
    ) -> None:
        self._station = station
        self._camera = camera
        self._messages = messages
        self._reports = reports
        self._clock = clock
        self._log = log
        self._place = [one.name for one in station.line.cameras].index(camera.name)

    def part_id(self, number: int) -> str:
        """Return the id of the part of that number; the PLC knows its own by its number alone."""
        if self._station.line.parts.identity == "register":
            return str(number)
        return f"{self._station.epoch:x}-{number:06d}"

    def unnamed(self, sequence: int) -> str:
        """Return an id for a part that nobody can name."""
        return f"{self._station.epoch:x}-u{sequence:06d}-{self._place}"

    async def exposed(
        self, part_id: str, sequence: int, captured_at_ns: int, label: str | None, place_counts: int | None = None
    ) -> tuple[Capture, SeenPart]:
        """Note an exposure of this camera, and tell the PLC of a part that is new."""
        line = self._station.line
        passed_at_ns = captured_at_ns - round(self._camera.offset_ms * NS_PER_MS)
        part, new = self._station.parts.exposed(
            part_id,
            self._camera.name,
            passed_at_ns=passed_at_ns,
            decide_by_ns=line.decide_by_ns(passed_at_ns),
            label=label,
            place_counts=place_counts,
        )
        if new:
            await self._tell_plc(part)
        return self._capture(part, sequence, captured_at_ns), part

    def announcement(self, capture: Capture, part: SeenPart, *, fit: bool) -> Publication:
        """Return the announcement of a part; `fit` says that this camera's picture of it can be judged."""
        missing = dict.fromkeys(self._station.parts.blind(part), NotInspected.CAMERA_OFFLINE)
        if not fit:
            missing[self._camera.name] = NotInspected.BAD_IMAGE
        return self._said(capture, part, missing)

    def frame(self, capture: Capture, pixels: Picture) -> Packed:
        """Return the frame as it goes; PictureError for pixels that cannot be encoded."""
        return self._messages.frame(self._camera, capture, pixels)

    def is_quick(self, pixels: Picture) -> bool:
        """Say whether `frame` takes less time than to hand it to a thread."""
        return self._messages.is_quick(self._camera, pixels)

    async def passed_unseen(self, part_id: str, outbox: Outbox) -> None:
        """Announce a part that passes now, as the PLC says, while this camera is offline."""
        now_ns = self._clock.utc_ns()
        decide_by_ns = self._station.line.decide_by_ns(now_ns)
        part, new = self._station.parts.exposed(
            part_id, None, passed_at_ns=now_ns, decide_by_ns=decide_by_ns, label=None
        )
        if new:
            await self._tell_plc(part)
        self._say_unseen(part, outbox)

    def lost(self, outbox: Outbox) -> None:
        """Announce again the parts on their way that this camera, being offline from now on, did not see."""
        for part in self._station.parts.lost(self._camera.name, self._clock.utc_ns()):
            self._say_unseen(part, outbox)

    def back(self) -> None:
        """Note that the camera exposes parts again."""
        self._station.parts.back(self._camera.name)

    def report(self, state: CameraState, cause: str, text: str = "") -> None:
        """Tell operators of the camera's state."""
        line, camera = self._station.line.name, self._camera.name
        text = text or _TEXTS.get(cause, f"its pictures are {cause.replace('_', ' ')}: parts are not inspected")
        report = CameraReport(line, camera, state, cause, f"camera {camera}: {text}", self._clock.utc_ns())
        self._reports.say(f"{line}/{camera}", self._messages.report(report))

    def _say_unseen(self, part: SeenPart, outbox: Outbox) -> None:
        capture = self._capture(part, 0, part.passed_at_ns)
        missing = {self._camera.name: NotInspected.CAMERA_OFFLINE}
        outbox.put(capture, self._said(capture, part, missing), None, size_bytes=0)

    def _said(self, capture: Capture, part: SeenPart, missing: Mapping[str, NotInspected]) -> Publication:
        return self._messages.announcement(self._station.line, capture, part, missing)

    async def _tell_plc(self, part: SeenPart) -> None:
        gate_at_ns = part.passed_at_ns + self._station.line.gate_delay_ns
        try:
            await self._station.photo_eye.part_passed(part.part_id, gate_at_ns)
        except SignalError as error:
            self._log.warning("photo_eye.failed", part=part.part_id, error=str(error))

    def _capture(self, part: SeenPart, sequence: int, captured_at_ns: int) -> Capture:
        return Capture(
            id=CaptureId(self._station.line.name, self._camera.name, self._station.epoch, sequence),
            part_id=part.part_id,
            captured_at_ns=captured_at_ns,
            decide_by_ns=part.decide_by_ns,
        )
