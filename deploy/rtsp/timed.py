"""Cameras that show the time by themselves: how old a picture is can be read off it."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402 (the version has to be named first)

from deploy.rtsp.options import Options  # noqa: E402

# The strip of `ingest.slate`, whose number is here the UTC time in milliseconds; tests hold the two together.
_STRIP_PX = 16
_BITS = 35
_NUMBER_MASK = (1 << 24) - 1
_DARK, _BRIGHT = bytes([30]), bytes([225])
_STEP_PX = 4
_MOVES = 20


def strip(number: int, width_px: int) -> bytes:
    """Return the strip's 16 rows of rgb24."""
    data = (number & _NUMBER_MASK) << 1
    word = (0b10 << 25 | data) << 8 | _crc8(data)
    cells = [_BRIGHT if (word >> shift) & 1 else _DARK for shift in reversed(range(_BITS))]
    return b"".join(cells[column * _BITS // width_px] * 3 for column in range(width_px)) * _STRIP_PX


def _crc8(data: int) -> int:
    crc = 0xFF
    for byte in data.to_bytes(4, "big"):
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07 if crc & 0x80 else crc << 1) & 0xFF
    return crc


class Scene:
    """Frames of one size: a textured field that moves, above the strip."""

    def __init__(self, width_px: int, height_px: int) -> None:
        self._width_px = width_px
        self._row_bytes = width_px * 3
        rows = height_px - _STRIP_PX
        chance = random.Random(0)  # noqa: S311 - a texture, no secret
        block = 8
        field = [
            b"".join(bytes([chance.randrange(60, 200)]) * (3 * block) for _ in range(-(-width_px // block)))
            for _ in range(-(-rows // block))
        ]
        self._field = b"".join(line[: self._row_bytes] * block for line in field)[: rows * self._row_bytes]

    def frame(self, index: int, number: int) -> bytes:
        """Return the frame `index`, which says `number`."""
        cut = (index % _MOVES) * _STEP_PX * self._row_bytes
        return self._field[cut:] + self._field[:cut] + strip(number, self._width_px)


class Timed:
    """Shows the time on all mounts that are watched, in one thread, each mount at its own moment of the period."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._scene = Scene(options.width_px, options.height_px)
        self._turned = Scene(options.turn_width_px, options.turn_height_px) if options.turn_after else self._scene
        self._lock = threading.Lock()
        self._sources: dict[int, Any] = {}
        self._shown: dict[int, int] = {}

    def attach(self, camera: int, source: Any) -> None:  # noqa: ANN401 (gi has no types)
        """Show the time on this camera's appsrc from now on."""
        with self._lock:
            if self._sources.get(camera) is not source:
                self._sources[camera] = source
                self._shown[camera] = 0

    def detach(self, camera: int, source: Any) -> None:  # noqa: ANN401 (gi has no types)
        """Show it there no longer."""
        with self._lock:
            if self._sources.get(camera) is source:
                del self._sources[camera]

    def run(self) -> None:
        """Show the time for ever."""
        period_s = 1 / self._options.fps
        next_s = time.monotonic()
        while True:
            for camera in range(self._options.cameras):
                next_s += period_s / self._options.cameras
                time.sleep(max(0.0, next_s - time.monotonic()))
                self._show(camera)
            # After a freeze it goes on from now instead of catching up.
            next_s = max(next_s, time.monotonic() - period_s)

    def _show(self, camera: int) -> None:
        with self._lock:
            source = self._sources.get(camera)
            shown = self._shown.get(camera, 0)
            self._shown[camera] = shown + 1
        if source is None:
            return
        options = self._options
        if options.turn_after and shown == options.turn_after:
            source.set_property(
                "caps", Gst.Caps.from_string(options.caps(options.turn_width_px, options.turn_height_px))
            )
        scene = self._turned if options.turn_after and shown >= options.turn_after else self._scene
        frame = scene.frame(shown, time.time_ns() // 1_000_000)
        if source.emit("push-buffer", Gst.Buffer.new_wrapped(frame)) != Gst.FlowReturn.OK:
            self.detach(camera, source)
