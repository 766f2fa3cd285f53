"""A camera's features set as its settings say. Knows the names that cameras give to one and the same feature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ingest.sources.gige.camera import FeatureKind, Features, RefusedError, Value
from ingest.sources.pixel_formats import FORMATS, by_name
from shared.camera_settings import GigeSettings
from shared.errors import ConfigError
from shared.log import get_logger

FREE_RUN: Final = "none"
SOFTWARE: Final = "software"
_EXPOSURE: Final = ("ExposureTime", "ExposureTimeAbs")
_GAIN: Final = ("Gain", "GainAbs")
_RATE: Final = ("AcquisitionFrameRate", "AcquisitionFrameRateAbs")
_RATE_ENABLE: Final = ("AcquisitionFrameRateEnable", "AcquisitionFrameRateEnabled")
_PACKET_DELAY: Final = ("GevSCPD",)
_PTP: Final = ("PtpEnable", "GevIEEE1588")
_TICKS: Final = "GevTimestampTickFrequency"


@dataclass(frozen=True, slots=True)
class Configured:
    """What a camera was set to: the time between its pictures, None where triggers decide, and its chunks' features."""

    period_s: float | None
    chunks: tuple[str, ...]
    packet_size_bytes: int


def configure(camera: Features, settings: GigeSettings, *, synchronise: bool) -> Configured:
    """Set everything that the settings name, their `features` first; with `synchronise` also PTP where there is any.

    Raises `ConfigError` that names the feature, the value and what the camera allows, `SourceUnavailableError` when
    the camera does not answer.
    """
    for name, value in settings.features.items():
        _set(camera, name, value)
    if settings.pixel_format is not None:
        _set(camera, "PixelFormat", settings.pixel_format)
    _check_pixel_format(camera)
    if settings.region_px is not None:
        _set_region(camera, settings.region_px)
    if settings.exposure_us is not None:
        _set_if_there(camera, "ExposureAuto", "Off")
        _set_if_there(camera, "ExposureMode", "Timed")
        _set(camera, _one_of(camera, _EXPOSURE), settings.exposure_us)
    if settings.gain_db is not None:
        _set_if_there(camera, "GainAuto", "Off")
        _set(camera, _one_of(camera, _GAIN), settings.gain_db)
    if settings.frame_rate_hz is not None:
        for name in _RATE_ENABLE:
            _set_if_there(camera, name, value=True)
        _set(camera, _one_of(camera, _RATE), settings.frame_rate_hz)
    _set_trigger(camera, settings.trigger)
    chunks = _set_chunks(camera, settings.chunks)
    if settings.packet_delay_ns is not None:
        ticks_hz = float(camera.get(_TICKS)) if camera.has(_TICKS) else 1e9
        _set(camera, _one_of(camera, _PACKET_DELAY), round(settings.packet_delay_ns * (ticks_hz or 1e9) / 1e9))
    packet_size_bytes = _set_packet_size(camera, settings.packet_size_bytes)
    if synchronise:
        _synchronise(camera, settings)
    return Configured(_period_s(camera, settings), chunks, packet_size_bytes)


def _set(camera: Features, name: str, value: Value) -> None:
    if not camera.has(name):
        raise ConfigError(f"the camera has no feature {name!r}, or does not let it be set now", "Leave it out.")
    try:
        if (wrong := _wrong_type(camera.kind(name), value)) is not None:
            raise RefusedError(wrong)  # noqa: TRY301 - the camera's own refusals are told in the same way
        camera.set(name, value)
    except RefusedError as error:
        raise ConfigError(f"the camera refuses {name} = {value!r} ({error})", _allowed(camera, name)) from error


def _wrong_type(kind: FeatureKind, value: Value) -> str | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match kind:
        case FeatureKind.BOOLEAN if not isinstance(value, bool):
            return "it takes true or false"
        case FeatureKind.INTEGER if not number or float(value) != int(value):
            return "it takes a whole number"
        case FeatureKind.FLOAT if not number:
            return "it takes a number"
        case FeatureKind.CHOICE if not isinstance(value, str):
            return "it takes one of its names"
        case _:
            return None


def _allowed(camera: Features, name: str) -> str:
    kind = camera.kind(name)
    try:
        match kind:
            case FeatureKind.CHOICE:
                return f"It takes {', '.join(camera.choices(name)) or 'nothing now'}."
            case FeatureKind.INTEGER | FeatureKind.FLOAT:
                lowest, highest = camera.bounds(name)
                return f"It takes {lowest:g} to {highest:g} now."
            case _:
                return f"It is a {kind.value}."
    except RefusedError:
        return f"It is a {kind.value}."


def _one_of(camera: Features, names: tuple[str, ...]) -> str:
    for name in names:
        if camera.has(name):
            return name
    if names == _GAIN and camera.has("GainRaw"):
        raise ConfigError("the camera knows its gain in units of its own only", "Set GainRaw in `features` instead.")
    return names[0]


def _set_if_there(camera: Features, name: str, value: Value) -> None:
    if camera.has(name):
        kind = camera.kind(name)
        if kind is not FeatureKind.CHOICE or value in camera.choices(name):
            _set(camera, name, value)


def _check_pixel_format(camera: Features) -> None:
    now = str(camera.get("PixelFormat"))
    if by_name(now) is None:
        both = [name for name in camera.choices("PixelFormat") if by_name(name) is not None]
        raise ConfigError(
            f"pixel format {now!r} cannot be made a picture",
            f"Set pixel_format to one of {', '.join(both or FORMATS)}.",
        )


def _set_region(camera: Features, region_px: tuple[int, int, int, int]) -> None:
    # From the corner out: the offset bounds the size and the size bounds the offset.
    for name in ("OffsetX", "OffsetY"):
        _set_if_there(camera, name, 0)
    left, top, width, height = region_px
    for name, value in (("Width", width), ("Height", height), ("OffsetX", left), ("OffsetY", top)):
        if value or name in {"Width", "Height"}:
            _set(camera, name, value)


def _set_trigger(camera: Features, trigger: str) -> None:
    selectors = camera.choices("TriggerSelector") if camera.has("TriggerSelector") else ()
    for selector in selectors:
        _set(camera, "TriggerSelector", selector)
        _set_if_there(camera, "TriggerMode", "Off")
    _set_if_there(camera, "AcquisitionMode", "Continuous")
    if trigger == FREE_RUN:
        if not selectors:
            _set_if_there(camera, "TriggerMode", "Off")
        return
    for selector in ("FrameStart", "ExposureStart", "AcquisitionStart"):
        if selector in selectors:
            _set(camera, "TriggerSelector", selector)
            break
    _set(camera, "TriggerSource", "Software" if trigger == SOFTWARE else trigger)
    if trigger != SOFTWARE:
        _set_if_there(camera, "TriggerActivation", "RisingEdge")
    _set(camera, "TriggerMode", "On")


def _set_chunks(camera: Features, chunks: tuple[str, ...]) -> tuple[str, ...]:
    if not chunks:
        return ()
    _set(camera, "ChunkModeActive", value=True)
    names = [name.removeprefix("Chunk") for name in chunks]
    for name in names:
        _set(camera, "ChunkSelector", name)
        _set_if_there(camera, "ChunkEnable", value=True)
    return tuple(f"Chunk{name}" for name in names)


def _set_packet_size(camera: Features, size_bytes: int | None) -> int:
    try:
        return camera.set_packet_size(size_bytes)
    except RefusedError as error:
        if size_bytes is None:
            raise ConfigError(f"the camera negotiates no packet size ({error})", "Set packet_size_bytes.") from error
        name = "GevSCPSPacketSize"
        allowed = _allowed(camera, name) if camera.has(name) else "Leave packet_size_bytes out."
        raise ConfigError(f"the camera refuses packet_size_bytes = {size_bytes} ({error})", allowed) from error


def _synchronise(camera: Features, settings: GigeSettings) -> None:
    if any(name in settings.features for name in _PTP):
        return
    for name in _PTP:
        if camera.has(name):
            try:
                camera.set(name, value=True)
            except RefusedError as error:
                get_logger("ingest").warning("camera.ptp_refused", feature=name, error=str(error))
            return


def _period_s(camera: Features, settings: GigeSettings) -> float | None:
    if settings.trigger != FREE_RUN:
        return None
    for name in ("ResultingFrameRate", "ResultingFrameRateAbs", "AcquisitionResultingFrameRate", *_RATE):
        if camera.has(name) and (rate_hz := float(camera.get(name))) > 0:
            return 1 / rate_hz
    return 0.0
