"""The only place that chooses a source for a camera's address; what needs a package of its own is loaded only then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from ingest.recording.header import SUFFIX
from ingest.rendering.conveyor import ConveyorSettings
from ingest.sources.base import Source
from ingest.sources.folder import FolderSource
from ingest.sources.recorded import RecordedSource
from ingest.sources.rendered import RenderedSource
from ingest.sources.video.file import VideoFileSource
from ingest.sources.video.rtsp import RtspSource
from shared.camera_settings import CameraSettings
from shared.clock import Clock
from shared.errors import ConfigError
from shared.redaction import redact_address


def make_source(camera: CameraSettings, clock: Clock) -> Source:
    """Return the adapter for the camera's address; raises `ConfigError` for one that no adapter knows."""
    address = camera.source.get_secret_value()
    if address == "rendered":
        return _rendered(camera, clock)
    scheme, found, _ = address.partition("://")
    if not found:
        return _kept(camera, Path(address), clock)
    live = _LIVE.get(scheme)
    if live is None:
        raise ConfigError(
            f"camera {camera.name!r}: no source is known for {redact_address(address)!r}",
            "Use rendered, a folder of pictures, a video file, a recording (.mcap), rtsp://, gige:// or gentl://.",
        )
    return live(camera, clock)


def is_live(camera: CameraSettings) -> bool:
    """Return whether the camera's pictures are taken now, whatever reads them."""
    return camera.source.get_secret_value().partition("://")[0] in _LIVE


def _rendered(camera: CameraSettings, clock: Clock) -> Source:
    conveyor = ConveyorSettings(
        seed=camera.seed, width_px=camera.width_px, height_px=camera.height_px, defect_rate=camera.defect_rate
    )
    return RenderedSource(conveyor, rate_hz=camera.rate_hz, limit=camera.limit, clock=clock)


def _kept(camera: CameraSettings, path: Path, clock: Clock) -> Source:
    if path.suffix == SUFFIX:
        return RecordedSource(path, speed=camera.speed, limit=camera.limit, clock=clock)
    if path.is_file():
        # A film has a pace of its own, and no other unless one is asked for.
        rate_hz = camera.rate_hz if "rate_hz" in camera.model_fields_set else None
        return VideoFileSource(
            str(path), rate_hz=rate_hz, speed=camera.speed, limit=camera.limit, slate=camera.slate, clock=clock
        )
    return FolderSource(path, rate_hz=camera.rate_hz, limit=camera.limit, seed=camera.seed, clock=clock)


def _rtsp(camera: CameraSettings, clock: Clock) -> Source:
    return RtspSource(
        camera.source.get_secret_value(),
        settings=camera.rtsp,
        limit=camera.limit,
        slate=camera.slate,
        stall_ms=camera.stall_ms,
        trusts=camera.clock,
        clock=clock,
    )


def _gige(camera: CameraSettings, clock: Clock) -> Source:
    from ingest.sources.gige.source import GigeSource

    try:
        from ingest.sources.gige.aravis import AravisCamera
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"camera {camera.name!r}: gige:// needs the package {error.name!r}, which is not installed",
            "Install Debian's gir1.2-aravis-0.8 libgirepository1.0-dev libcairo2-dev gcc pkg-config, "
            "then pip install 'linewarden[gige]'.",
        ) from None
    # What PyGObject raises without Aravis' description.
    except ValueError as error:
        raise ConfigError(
            f"camera {camera.name!r}: gige:// needs Aravis ({error})", "Install the Debian package gir1.2-aravis-0.8."
        ) from None
    return GigeSource(camera, clock, AravisCamera)


def _gentl(camera: CameraSettings, clock: Clock) -> Source:
    try:
        from ingest.sources.gentl import GentlSource
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"camera {camera.name!r}: gentl:// needs the package {error.name!r}, which is not installed",
            "Install it with: pip install 'linewarden[gentl]'.",
        ) from None
    return GentlSource(camera, clock)


_LIVE: Final[dict[str, Callable[[CameraSettings, Clock], Source]]] = {
    "rtsp": _rtsp,
    "rtsps": _rtsp,
    "gige": _gige,
    "gentl": _gentl,
}
