"""Show what a camera sees."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from rich.console import Console

from deploy.cameras.observing import described, opened
from deploy.cameras.terminal import in_terminal
from deploy.roles.ingest import make_preparation
from ingest.preparation import Preparation
from ingest.sources.base import Source
from shared.camera_settings import CameraSettings
from shared.clock import SystemClock
from shared.depth import in_eight_bits
from shared.domain import Picture
from shared.errors import ConfigError, SourceError

_MARGIN_ROWS: Final = 4
_PATIENCE_S: Final = 10.0
_DEEP: Final = (".png", ".tif", ".tiff")


async def preview(camera: CameraSettings, console: Console, *, out: Path | None, prepared: bool, step: bool) -> None:
    """Show one picture, or one after the other; SourceError when none comes within 10 s."""
    preparation = make_preparation(camera)
    async with opened(camera, SystemClock()) as source:
        shown = 0
        while (picture := await _next(source)) is not None:
            shown += 1
            if prepared:
                picture = await _as_sent(preparation, picture)
            _show(picture, console, out)
            if not step or not await _go_on(console):
                return
        if not shown:
            raise SourceError("it ended without a usable picture", "`linewarden cameras check` says why.")


async def _next(source: Source) -> Picture | None:
    faults: list[str] = []
    try:
        async with asyncio.timeout(_PATIENCE_S):
            while (shot := await source.read()) is not None:
                if shot.pixels is not None and shot.fault is None:
                    return shot.pixels
                faults.append("unreadable" if shot.fault is None else shot.fault.value)
    except TimeoutError:
        said = f": {', '.join(sorted(set(faults)))}" if faults else ""
        raise SourceError(
            f"no usable picture came in {_PATIENCE_S:.0f} s{said}", "`linewarden cameras check` says why."
        ) from None
    return None


async def _as_sent(preparation: Preparation, picture: Picture) -> Picture:
    sent = await preparation.of(picture)
    if isinstance(sent, str):
        raise SourceError(f"the picture would not be sent: {sent}", "`linewarden cameras check` looks closer.")
    return sent


def _show(picture: Picture, console: Console, out: Path | None) -> None:
    if out is None:
        console.print(in_terminal(picture, columns=console.width, rows=max(4, console.height - _MARGIN_ROWS)))
    else:
        # Formats that photographs are kept in have 8 bits.
        picture = picture if out.suffix.lower() in _DEEP else in_eight_bits(picture)
        colours = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR) if picture.ndim == 3 else picture  # noqa: PLR2004
        try:
            done, data = cv2.imencode(out.suffix or ".png", colours)
            if not done:
                raise ConfigError(f"cannot write {str(out)!r} as a picture", "Give a .png or .jpg file.")
            out.write_bytes(np.asarray(data).tobytes())
        except (OSError, cv2.error) as error:
            raise ConfigError(f"cannot write {str(out)!r}: {error}", "Give a .png or .jpg file.") from None
    where = "" if out is None else f", written to {out}"
    console.print(f"{described(picture)}{where}", markup=False)


async def _go_on(console: Console) -> bool:
    try:
        answer = await asyncio.to_thread(console.input, "Enter for the next, q to end: ")
    except EOFError:
        return False
    return answer.strip().lower() != "q"
