"""What is wrong with a camera's stream, in sentences that say what to do. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from deploy.camera_sources import is_live
from deploy.cameras.observing import Observation
from ingest.sources.base import Fault, TimeSource
from shared.camera_settings import CameraSettings

_DARK: Final = 20.0
_BRIGHT: Final = 235.0
_SATURATED: Final = 0.25
_CONTRAST: Final = 3.0
_OLD_MS: Final = 250.0
_SLOW: Final = 0.8


def problems(camera: CameraSettings, found: Observation) -> list[str]:
    """Return what is wrong, worst first; nothing where all is well."""
    return list(_problems(camera, found))


def _problems(camera: CameraSettings, found: Observation) -> Iterator[str]:
    if found.lost is not None:
        yield f"It was lost while it was watched: {found.lost}"
    if not found.pictures:
        yield _silence(camera, found)
        return
    incomplete, lost, unreadable = (found.faults[one.value] for one in (Fault.INCOMPLETE, Fault.LOST, Fault.UNREADABLE))
    if incomplete:
        yield (
            f"{incomplete} pictures came incomplete: packets are lost on the way. Use jumbo frames (MTU 9000) on a"
            " network of its own, raise gige.packet_delay_ns, or look at the cable."
        )
    if lost:
        yield (
            f"{lost} pictures never came, by the camera's own count: this host reads too slowly, or the network drops"
            " them."
        )
    if found.faults[Fault.OVERRUN.value]:
        yield f"{found.faults[Fault.OVERRUN.value]} pictures came faster than this host takes them."
    if unreadable:
        yield f"{unreadable} pictures could not be decoded: they are damaged on the way."
    if len(found.sizes) > 1:
        yield f"Its pictures change their size: {', '.join(found.sizes)}. Set one region and one stream."
    if found.repeated and found.repeated == found.pictures - 1:
        yield "Every picture equals the one before to the pixel: the camera is frozen, or shows a still."
    elif found.repeated:
        yield f"{found.repeated} of {found.pictures} pictures equal the one before: the camera repeats itself."
    yield from _light(found)
    yield from _time(camera, found)


def _silence(camera: CameraSettings, found: Observation) -> str:
    if found.faults:
        return f"Not one picture could be used: {', '.join(f'{count} {name}' for name, count in found.faults.items())}."
    if camera.gige.trigger != "none":
        return (
            f"No picture came: it waits for its trigger, {camera.gige.trigger}. Does the trigger fire, and is it wired?"
        )
    return "It answers, and no picture came. Is it set to a trigger, or does another program hold its stream?"


def _light(found: Observation) -> Iterator[str]:
    brightness = float(np.mean([look.brightness for look in found.looks]))
    saturated = float(np.mean([look.saturated for look in found.looks]))
    contrast = float(np.mean([look.small.std() for look in found.looks]))
    if contrast < _CONTRAST:
        yield f"It shows nothing but one tone (brightness {brightness:.0f} of 255): is the cap on, or the lamp off?"
    elif brightness < _DARK:
        yield f"Its pictures are dark (brightness {brightness:.0f} of 255): raise the exposure, or look at the lamp."
    elif brightness > _BRIGHT or saturated > _SATURATED:
        yield (
            f"{saturated:.0%} of its pixels are saturated: what is white has no defects to see. Shorten the exposure."
        )


def _time(camera: CameraSettings, found: Observation) -> Iterator[str]:
    wanted = camera.gige.frame_rate_hz
    if wanted is not None and found.fps < _SLOW * wanted:
        yield f"It sends {found.fps:.1f} pictures a second, and {wanted:g} were set: is the exposure too long for that?"
    if found.counts.get("times_not_taken"):
        yield "Its clock is off by more than its frames can be old: synchronise it (PTP or NTP)."
    if found.age_ms(95) > _OLD_MS:
        told = "by its own clock" if found.time_sources[TimeSource.CAMERA] else "since their receipt"
        yield f"Its pictures are {found.age_ms(95):.0f} ms old {told} when they are read: this host is too slow for it."


def verdict(camera: CameraSettings, found: Observation) -> str:
    """Return one sentence on a camera with which all is well."""
    size = next(iter(found.sizes))
    clock = "its own clock" if found.time_sources[TimeSource.CAMERA] else "the time of receipt"
    age = f", {found.age_ms(95):.0f} ms old when read (p95, by {clock})" if is_live(camera) else ""
    return f"All is well: {size}, {found.fps:.1f} pictures a second{age}."
