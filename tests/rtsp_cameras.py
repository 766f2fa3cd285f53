"""Sources on the real RTSP server, and what its pictures tell of their age."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Literal

import numpy as np
import pytest

from ingest.slate import read_slate
from ingest.sources.base import Shot
from ingest.sources.video.rtsp import RtspSource
from shared.camera_settings import RtspSettings
from shared.clock import NS_PER_MS, SystemClock
from shared.errors import SourceUnavailableError

DEFAULT: Final = RtspSettings()
_TURN: Final = 1 << 24


@asynccontextmanager
async def rtsp_source(
    url: str, *, settings: RtspSettings = DEFAULT, trusts: Literal["auto", "camera", "receipt"] = "auto"
) -> AsyncIterator[RtspSource]:
    """Yield a source with the default settings, not yet open."""
    source = RtspSource(
        url, settings=settings, limit=None, slate=False, stall_ms=1_500, trusts=trusts, clock=SystemClock()
    )
    try:
        yield source
    finally:
        await source.close()


async def next_picture(source: RtspSource) -> Shot:
    """Return the next shot with a picture."""
    while True:
        shot = await source.read()
        assert shot is not None
        if shot.pixels is not None:
            return shot


async def loss_of(source: RtspSource) -> tuple[SourceUnavailableError, float]:
    """Read until the source is lost; return the loss and after how many seconds it was told."""
    began_s = time.monotonic()
    try:
        while await source.read() is not None:
            pass
    except SourceUnavailableError as loss:
        return loss, time.monotonic() - began_s
    pytest.fail("the source ended without a loss")


async def refusal_of(source: RtspSource) -> SourceUnavailableError:
    """Return why a source does not open."""
    with pytest.raises(SourceUnavailableError) as refusal:
        await source.open()
    return refusal.value


def off_by_ms(shot: Shot) -> int:
    """Return by how much `captured_at` is later than the time that the picture shows, in milliseconds."""
    assert shot.pixels is not None
    shown = read_slate(np.asarray(shot.pixels, np.uint8))[1].number
    return (shot.captured_at_ns // NS_PER_MS - shown + _TURN // 2) % _TURN - _TURN // 2
