"""The bus headers of a capture's messages: CloudEvents 1.0 in Kafka's binary mode.

They repeat who a message is about, so that a message whose body cannot be read still ends as a verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.domain import CameraReport, Capture, CaptureId

Headers = tuple[tuple[str, bytes], ...]
_LARGEST: Final = (1 << 63) - 1


def capture_headers(capture: Capture, event: str) -> Headers:
    """Return the headers of a message of type `event` (such as "frame") about `capture`."""
    identity = capture.id
    return (
        ("ce_specversion", b"1.0"),
        ("ce_type", f"linewarden.{event}.v1".encode()),
        ("ce_source", f"/{identity.line}/{identity.camera}".encode()),
        ("ce_id", str(identity).encode()),
        ("ce_subject", capture.part_id.encode()),
        ("ce_capturedatns", str(capture.captured_at_ns).encode()),
        ("ce_decidebyns", str(capture.decide_by_ns).encode()),
        ("content-type", b"application/vnd.linewarden"),
    )


def report_headers(report: CameraReport) -> Headers:
    """Return the headers of a report about a camera."""
    return (
        ("ce_specversion", b"1.0"),
        ("ce_type", b"linewarden.camera.v1"),
        ("ce_source", f"/{report.line}/{report.camera}".encode()),
        ("ce_id", f"{report.line}/{report.camera}/{report.at_ns}".encode()),
        ("content-type", b"application/vnd.linewarden"),
    )


def capture_of(headers: Sequence[tuple[str, bytes]]) -> Capture | None:
    """Return the capture that `headers` speak of, or None when they do not say."""
    fields = dict(headers)
    try:
        line, camera, epoch, sequence = fields["ce_id"].decode().split("/")
        return Capture(
            id=CaptureId(line=line, camera=camera, epoch=_count(epoch), sequence=_count(sequence)),
            part_id=fields["ce_subject"].decode(),
            captured_at_ns=_count(fields["ce_capturedatns"]),
            decide_by_ns=_count(fields["ce_decidebyns"]),
        )
    except (KeyError, ValueError, AttributeError, TypeError):
        # The bus may also hold headers without a value.
        return None


def _count(text: str | bytes) -> int:
    number = int(text)
    if not 0 <= number <= _LARGEST:
        raise ValueError(f"{number} does not fit a message")
    return number
