"""What ingest says on the bus: announcements of parts, frames, and reports about cameras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ingest.claim import Packed, pack
from ingest.encode import encode_pixels, raw_view
from ingest.line_parts import SeenPart
from shared.bus.base import Publication
from shared.camera_settings import CameraSettings
from shared.clock import Clock
from shared.domain import CameraReport, Capture, NotInspected, PartAnnouncement, Picture
from shared.envelope import capture_headers, report_headers
from shared.partition_plan import PartitionPlan
from shared.settings import LineSettings, Settings
from shared.topics import camera_key, part_key
from shared.wire import Encoding, FrameMessage, encode

_GREY_AXES: Final = 2
# A thread's start and end take longer than to copy so much, .2 ms.
_QUICK_BYTES: Final = 1024 * 1024


class Messages:
    """Makes publications; the plan says onto which partition each goes."""

    def __init__(self, settings: Settings, plan: PartitionPlan, clock: Clock) -> None:
        self._topics = settings.topics
        self._by_reference_from = settings.bus.claim_check_bytes
        self._raw_up_to = settings.bus.raw_bytes
        self._plan = plan
        self._clock = clock

    def announcement(
        self, line: LineSettings, capture: Capture, part: SeenPart, missing: Mapping[str, NotInspected]
    ) -> Publication:
        """Return the announcement of a part, in the name of one of its captures."""
        announcement = PartAnnouncement(
            line=line.name,
            part_id=part.part_id,
            cameras=tuple(camera.name for camera in line.cameras),
            captured_at_ns=part.passed_at_ns,
            decide_by_ns=part.decide_by_ns,
            label=part.label,
            missing=dict(missing),
            place_counts=part.place_counts,
        )
        return Publication(
            self._topics.captures,
            encode(announcement),
            key=part_key(line.name, part.part_id),
            partition=self._plan.of_line(line.name),
            headers=capture_headers(capture, "capture"),
        )

    def report(self, report: CameraReport) -> Publication:
        """Return a report about a camera."""
        return Publication(
            self._topics.captures,
            encode(report),
            key=camera_key(report.line, report.camera),
            partition=self._plan.of_line(report.line),
            headers=report_headers(report),
        )

    def is_quick(self, camera: CameraSettings, pixels: Picture) -> bool:
        """Say whether a picture's frame takes less time than to hand it to a thread: a short copy and its checksum."""
        raw = camera.encoding_of(pixels, raw_up_to=self._raw_up_to) is Encoding.RAW
        return raw and pixels.nbytes <= _QUICK_BYTES

    def frame(self, camera: CameraSettings, capture: Capture, pixels: Picture) -> Packed:
        """Return the frame as it goes; PictureError for pixels that cannot be encoded."""
        stamps = {"exposed": capture.captured_at_ns, "published": self._clock.utc_ns()}
        encoding = camera.encoding_of(pixels, raw_up_to=self._raw_up_to)
        payload: bytes | memoryview
        if encoding is Encoding.RAW:
            # The message is made of it at once: one copy is enough.
            payload = raw_view(pixels)
        else:
            payload = encode_pixels(pixels, encoding, jpeg_quality=camera.jpeg_quality)
        message = FrameMessage(
            capture=capture,
            encoding=encoding,
            width_px=pixels.shape[1],
            height_px=pixels.shape[0],
            channels=1 if pixels.ndim == _GREY_AXES else pixels.shape[2],
            stamps_ns=stamps,
            depth_bits=pixels.dtype.itemsize * 8,
        )
        line = capture.id.line
        return pack(
            message,
            payload,
            by_reference_from=self._by_reference_from,
            publication=lambda value: Publication(
                self._topics.frames,
                value,
                key=camera_key(line, camera.name),
                partition=self._plan.of_camera(line, camera.name, capture.id.sequence),
                headers=capture_headers(capture, "frame"),
            ),
        )
