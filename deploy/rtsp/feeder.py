"""Frames from standard input to the media that is being watched."""

from __future__ import annotations

import sys
import threading
from typing import Any

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402 (the version has to be named first)


class Feeder:
    """Carries frames from standard input to the media that is being watched, in one thread for the whole run."""

    def __init__(self, frame_bytes: int) -> None:
        self._frame_bytes = frame_bytes
        self._change = threading.Condition()
        self._source: Any = None

    def attach(self, source: Any) -> None:  # noqa: ANN401 (gi has no types)
        """Feed this appsrc from now on."""
        with self._change:
            self._source = source
            self._change.notify_all()

    def detach(self, source: Any) -> None:  # noqa: ANN401 (gi has no types)
        """Feed this appsrc no longer, and hold the input up until there is another."""
        with self._change:
            if self._source is source:
                self._source = None

    def run(self) -> None:
        """Feed until the input ends, and pass the end on; a frame that the end cuts short is left out."""
        while True:
            self._watched()  # before reading: whoever pushes is held up while nobody watches
            frame = sys.stdin.buffer.read(self._frame_bytes)
            if len(frame) < self._frame_bytes:
                break
            self._emit("push-buffer", Gst.Buffer.new_wrapped(frame))
        self._emit("end-of-stream")

    def _emit(self, action: str, *arguments: Any) -> None:  # noqa: ANN401 (gi has no types)
        # A media whose last client has gone refuses what comes: the next media gets it.
        while (source := self._watched()).emit(action, *arguments) != Gst.FlowReturn.OK:
            self.detach(source)

    def _watched(self) -> Any:  # noqa: ANN401 (gi has no types)
        with self._change:
            self._change.wait_for(lambda: self._source is not None)
            return self._source
