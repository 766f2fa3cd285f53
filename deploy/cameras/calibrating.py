"""Learn the limits of a camera's good pictures from the camera itself."""

from __future__ import annotations

import asyncio

from deploy.cameras.observing import opened
from deploy.roles.ingest import make_preparation
from ingest.quality.limits import Limits, learn_limits
from ingest.quality.look import Look, look_at
from ingest.sources.base import Source
from shared.camera_settings import CameraSettings
from shared.clock import SystemClock
from shared.errors import SourceError


async def calibrate(camera: CameraSettings, *, pictures: int, seconds: float) -> Limits:
    """Return the limits of so many pictures, as they are sent; SourceError when too few come in time."""
    # What it learns must not depend on what it learnt before.
    camera = camera.model_copy(update={"limits": None})
    looks: list[Look] = []
    async with opened(camera, SystemClock()) as source:
        try:
            async with asyncio.timeout(seconds):
                await _collect(camera, source, looks, pictures)
        except TimeoutError:
            raise SourceError(
                f"{len(looks)} of {pictures} pictures came in {seconds:g} s",
                "Give more --seconds, or fewer --pictures.",
            ) from None
    return await asyncio.to_thread(learn_limits, looks)


async def _collect(camera: CameraSettings, source: Source, looks: list[Look], most: int) -> None:
    preparation = make_preparation(camera)
    while len(looks) < most and (shot := await source.read()) is not None:
        if shot.pixels is None or shot.fault is not None:
            continue
        sent = await preparation.of(shot.pixels)
        if not isinstance(sent, str):
            looks.append(await asyncio.to_thread(look_at, sent))
