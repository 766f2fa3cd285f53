"""What the tests with Aravis' software camera have in common."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import SecretStr

from ingest.sources.base import Shot
from ingest.sources.gige.source import GigeSource
from shared.camera_settings import CameraSettings, GigeSettings
from shared.clock import SystemClock

LOOPBACK = "127.0.0.1"


def source_of(source: str = f"gige://{LOOPBACK}", **features: object) -> GigeSource:
    """Return the source of a camera, fast unless told otherwise."""
    from ingest.sources.gige.aravis import AravisCamera  # noqa: PLC0415 - tests without Aravis are skipped

    settings = GigeSettings.model_validate({"frame_rate_hz": 50.0, **features})
    camera = CameraSettings(source=SecretStr(source), gige=settings)
    return GigeSource(camera, SystemClock(), AravisCamera, (LOOPBACK,))


@asynccontextmanager
async def opened(source: GigeSource) -> AsyncIterator[GigeSource]:
    """Open a source and close it, whatever happens."""
    await source.open()
    try:
        yield source
    finally:
        await source.close()


async def shot_of(source: GigeSource) -> Shot:
    """Return the next shot, which comes within two seconds."""
    shot = await asyncio.wait_for(source.read(), 2)
    assert shot is not None
    return shot
