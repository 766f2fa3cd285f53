"""Build the ingest service with what stands beside its lines."""

from __future__ import annotations

from deploy.adapters import Adapters
from deploy.camera_sources import make_source
from ingest.geometry import Geometry
from ingest.part_register.base import AbsentPartRegister, PartRegister
from ingest.part_register.modbus import ModbusPartRegister
from ingest.photo_eye.absent import AbsentPhotoEye
from ingest.photo_eye.base import PhotoEye
from ingest.photo_eye.modbus import ModbusPhotoEye
from ingest.preparation import Preparation
from ingest.quality.gate import QualityGate
from ingest.quality.limits import read_limits
from ingest.service import Equipment, IngestService
from shared.camera_settings import CameraSettings
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
