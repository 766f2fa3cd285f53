"""What stands beside a line, where a test does not say otherwise: nothing."""

from __future__ import annotations

from collections.abc import Callable

from ingest.part_register.base import AbsentPartRegister
from ingest.photo_eye.absent import AbsentPhotoEye
from ingest.photo_eye.base import PhotoEye
from ingest.preparation import Preparation
from ingest.service import Equipment
from ingest.sources.base import Source
from shared.camera_settings import CameraSettings


def equipped(
    source: Callable[[CameraSettings], Source],
    *,
    photo_eye: Callable[[], PhotoEye] = AbsentPhotoEye,
    preparation: Callable[[CameraSettings], Preparation] = lambda _: Preparation(),
) -> Equipment:
    """Return the equipment of lines with these cameras."""
    return Equipment(
        source=source,
        photo_eye=lambda _: photo_eye(),
        register=lambda _: AbsentPartRegister(),
        preparation=preparation,
    )
