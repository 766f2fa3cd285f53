"""Which camera is meant: an address, or a camera of the settings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from shared.camera_settings import CameraSettings
from shared.errors import ConfigError
from shared.settings import LineSettings, from_dict, load


def chosen(address: str | None, config: Path | None, camera: str | None) -> tuple[LineSettings, CameraSettings]:
    """Return the camera at `address`, or of that name in the settings; ConfigError when it is not clear which."""
    if address is not None:
        if config is not None or camera is not None:
            raise ConfigError("an address and --config were given", "Give one of them: a camera has one address.")
        line = from_dict({"lines": [{"cameras": [{"source": address}]}]}, origin="the address").lines[0]
        return line, line.cameras[0]
    if config is None:
        raise ConfigError("no camera was given", "Give its address, or --config LINE.TOML with --camera NAME.")
    found = [(line, one) for line, one in cameras_of(config) if camera in {None, one.name, f"{line.name}/{one.name}"}]
    if len(found) == 1:
        return found[0]
    known = ", ".join(f"{line.name}/{one.name}" for line, one in cameras_of(config))
    raise ConfigError(
        f"{str(config)!r} has {len(found) or 'no'} cameras {'of that name' if camera else ''}".strip(),
        f"Give --camera one of: {known}.",
    )


def cameras_of(config: Path) -> Iterator[tuple[LineSettings, CameraSettings]]:
    """Return the cameras of the settings, line by line."""
    for line in load(config).lines:
        for camera in line.cameras:
            yield line, camera
