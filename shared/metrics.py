"""What a process counts and measures, for Prometheus: names, units and labels in one place.

`served` offers them at http://HOST:PORT/metrics. Lag is told in shares of a frame's own deadline, so that one target
fits every line: at 1 a verdict comes when the gate must know.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import Counter, Gauge, Histogram, start_http_server

from shared.errors import ConfigError
from shared.settings import MetricsSettings

_SHARES: Final = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.5)

CAPTURES: Final = Counter("linewarden_captures", "Exposures that ingest announced.", ["line", "camera"])
PUBLISHED: Final = Counter("linewarden_frames_published", "Frames that the bus took.", ["line", "camera"])
SOURCE_EVENTS: Final = Counter(
    "linewarden_source_events",
    "What a camera's adapter counted: frames skipped and why, packets missing and resent, stamps not taken.",
    ["line", "camera", "event"],
)
CAMERA_UP: Final = Gauge("linewarden_camera_up", "Whether the camera is connected: 1 or 0.", ["line", "camera"])
CAMERA_LOSSES: Final = Counter("linewarden_camera_losses", "How often a camera went away.", ["line", "camera", "cause"])
DROPPED: Final = Counter("linewarden_frames_dropped", "Frames never sent, by reason.", ["line", "camera", "reason"])
VERDICTS: Final = Counter(
    "linewarden_verdicts", "Frames answered; `reason` is empty where a model looked.", ["line", "camera", "reason"]
)
DEADLINE_USED: Final = Histogram(
    "linewarden_deadline_used_ratio",
    "From exposure to published verdict, as a share of the time from exposure to decide_by.",
    ["line"],
    buckets=_SHARES,
)
QUEUE_FRAMES: Final = Gauge("linewarden_queue_frames", "Frames that wait for the detector's engine.")
QUEUE_BYTES: Final = Gauge("linewarden_queue_bytes", "What these frames hold in memory.")
FETCHING: Final = Gauge("linewarden_fetching_frames", "Frames by reference whose payload is still in the store.")
BATCH_SIZE: Final = Histogram("linewarden_batch_frames", "Frames in a batch.", buckets=(1, 2, 4, 8, 16, 32, 64, 128))
INSPECTED: Final = Counter(
    "linewarden_frames_inspected", "Frames that a model looked at, by how much of it.", ["effort"]
)
EVIDENCE_KEPT: Final = Counter("linewarden_evidence_kept", "Frames kept as evidence.", ["line", "why"])
EVIDENCE_MISSED: Final = Counter(
    "linewarden_evidence_missed", "Frames or parts of which no evidence could be kept, by reason.", ["reason"]
)
EVIDENCE_SHELF_BYTES: Final = Gauge("linewarden_evidence_shelf_bytes", "Frames that wait for their part's decision.")
DECISIONS: Final = Counter("linewarden_decisions", "Parts settled.", ["line", "outcome"])
NOT_CARRIED_OUT: Final = Counter(
    "linewarden_rejects_not_carried_out", "Parts to be rejected that a gate that rests open may have let go.", ["line"]
)
HALTED: Final = Gauge("linewarden_line_halted", "Whether the line rejects everything until it is resumed.", ["line"])
POLICY_VERSION: Final = Gauge("linewarden_policy_version", "The version of the policy in force.", ["line"])
LEASE_HELD: Final = Gauge("linewarden_lease_held", "Whether this process may signal to the line's gate.", ["line"])
LINES_FAILED: Final = Counter(
    "linewarden_line_failures", "How often a line's service ended by an unexpected error, and began anew.", ["line"]
)
RECORDS_HELD: Final = Gauge(
    "linewarden_records_held", "Settled parts whose records wait for parts that were captured earlier.", ["line"]
)
RECORDS_LATE: Final = Counter("linewarden_records_late", "Parts recorded after one that was captured later.", ["line"])

PICTURES_DROPPED: Final = Counter(
    "linewarden_pictures_dropped", "Rejects whose pictures went for want of room while the store was away.", ["line"]
)

ALERTS_TOLD: Final = Counter("linewarden_alerts_told", "Alerts that operators were told.", ["line", "kind", "severity"])
ALERTS_OPEN: Final = Gauge(
    "linewarden_alerts_open", "Alerts that stand and that nobody acknowledged or shelved.", ["line", "severity"]
)
JOURNAL_FAILING: Final = Gauge("linewarden_journal_failing", "Whether the journal's disk takes nothing: 1 or 0.")
JOURNAL_MISSED: Final = Counter("linewarden_journal_missed", "Records that the journal lacks for good.", ["line"])


@contextmanager
def served(settings: MetricsSettings) -> Iterator[None]:
    """Serve the metrics while the block runs, if a port is set; ConfigError when it cannot be had."""
    if settings.port is None:
        yield
        return
    try:
        server, thread = start_http_server(settings.port, addr=settings.host)
    except OSError as error:
        raise ConfigError(
            f"metrics.port {settings.port} on {settings.host} cannot be served: {error.strerror}",
            "Choose a port that is free; each process needs one of its own.",
        ) from None
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
