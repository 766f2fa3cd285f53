"""Build the ingest service: the only place that chooses sources and photo-eyes."""

from __future__ import annotations

from pathlib import Path

from deploy.adapters import Adapters
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
from ingest.sources.video import LIVE_SCHEMES, VideoSource
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
    if address.startswith(LIVE_SCHEMES) or Path(address).is_file():
        return VideoSource(
            address,
            rate_hz=camera.rate_hz,
            limit=camera.limit,
            slate=camera.slate,
            stall_ms=camera.stall_ms,
            clock=clock,
        )
    if "://" in address:
        raise ConfigError(
            f"camera {camera.name!r}: no source is known for {redact_address(address)!r}",
            "Use rendered, a folder of pictures, a video file, a recording (.mcap), or rtsp://.",
        )
    return FolderSource(Path(address), rate_hz=camera.rate_hz, limit=camera.limit, seed=camera.seed, clock=clock)


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
    """Return what is done to the camera's pictures; the errors of `read_limits`."""
    return Preparation(quality=None if camera.limits is None else QualityGate(read_limits(camera.limits)))
