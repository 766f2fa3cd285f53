"""Build the ingest service: the only place that chooses sources and photo-eyes."""

from __future__ import annotations

from pathlib import Path

from deploy.adapters import Adapters
from ingest.geometry import Geometry
from ingest.part_register.base import AbsentPartRegister, PartRegister
from ingest.part_register.modbus import ModbusPartRegister
from ingest.photo_eye.absent import AbsentPhotoEye
from ingest.photo_eye.base import PhotoEye
from ingest.photo_eye.modbus import ModbusPhotoEye
from ingest.preparation import Preparation
from ingest.quality.gate import QualityGate
from ingest.quality.limits import read_limits
from ingest.recording.header import SUFFIX
from ingest.rendering.conveyor import ConveyorSettings
from ingest.service import Equipment, IngestService
from ingest.sources.base import Source
from ingest.sources.folder import FolderSource
from ingest.sources.recorded import RecordedSource
from ingest.sources.rendered import RenderedSource
from ingest.sources.video.file import VideoFileSource
from ingest.sources.video.rtsp import LIVE_SCHEMES, RtspSource
from shared.camera_settings import CameraSettings
from shared.clock import Clock
from shared.errors import ConfigError
from shared.redaction import redact_address
from shared.settings import LineSettings, Settings


def build(settings: Settings, adapters: Adapters) -> IngestService:
    """Return the service with its cameras."""
    return IngestService(
        settings,
        plan=adapters.plan.plan,
        bus=adapters.bus,
        payloads=adapters.payloads,
        clock=adapters.clock,
        equipment=Equipment(
            source=lambda camera: make_source(camera, adapters.clock),
            photo_eye=make_photo_eye,
            register=make_register,
            preparation=make_preparation,
        ),
    )


def make_source(camera: CameraSettings, clock: Clock) -> Source:
    """Return the adapter for the camera's address; raises `ConfigError` for one that no adapter knows."""
    address = camera.source.get_secret_value()
    if address == "rendered":
        conveyor = ConveyorSettings(
            seed=camera.seed, width_px=camera.width_px, height_px=camera.height_px, defect_rate=camera.defect_rate
        )
        return RenderedSource(conveyor, rate_hz=camera.rate_hz, limit=camera.limit, clock=clock)
    if address.endswith(SUFFIX) and "://" not in address:
        return RecordedSource(Path(address), speed=camera.speed, limit=camera.limit, clock=clock)
    if address.startswith(LIVE_SCHEMES):
        return RtspSource(
            address,
            settings=camera.rtsp,
            limit=camera.limit,
            slate=camera.slate,
            stall_ms=camera.stall_ms,
            trusts=camera.clock,
            clock=clock,
        )
    if Path(address).is_file():
        return VideoFileSource(address, rate_hz=camera.rate_hz, limit=camera.limit, slate=camera.slate, clock=clock)
    if address.startswith("gige://"):
        return _gige(camera, clock)
    if address.startswith("gentl://"):
        return _gentl(camera, clock)
    if "://" in address:
        raise ConfigError(
            f"camera {camera.name!r}: no source is known for {redact_address(address)!r}",
            "Use rendered, a folder of pictures, a video file, a recording (.mcap), rtsp://, gige:// or gentl://.",
        )
    return FolderSource(Path(address), rate_hz=camera.rate_hz, limit=camera.limit, seed=camera.seed, clock=clock)


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


def make_photo_eye(line: LineSettings) -> PhotoEye:
    """Return the path by which the line's PLC learns of each part."""
    if not line.signal.photo_eye:
        return AbsentPhotoEye()
    return ModbusPhotoEye(line.signal.url.get_secret_value())


def make_register(line: LineSettings) -> PartRegister:
    """Return the register that says which part is exposed."""
    parts = line.parts
    if parts.address is None:
        return AbsentPartRegister()
    url = parts.url or line.signal.url
    return ModbusPartRegister(url.get_secret_value(), address=parts.address, words=parts.words)


def make_preparation(camera: CameraSettings) -> Preparation:
    """Return what is done to the camera's pictures; the errors of `read_limits` and of `Geometry.from_settings`."""
    geometry = Geometry.from_settings(camera.geometry, camera.name)
    return Preparation(
        transform=geometry if geometry.changes else None,
        quality=None if camera.limits is None else QualityGate(read_limits(camera.limits)),
    )
