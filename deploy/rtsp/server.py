"""An RTSP camera that shows the pictures pushed to it, as H.264 over RTP over TCP.

Runs under the interpreter that has GStreamer's bindings (Debian's `python3`), so it imports nothing of linewarden.

Raw rgb24 frames of `width * height * 3` bytes each, with nothing between them, are read from standard input and served
as one live shared mount, `rtsp://127.0.0.1:PORT/line`. No frame is dropped: standard input is read only while a client
watches, so whoever pushes is held up instead. The end of the input ends the stream for the clients; the server ends
when the last of them has gone.

Standard output gets `ready PORT` once it listens and `playing` when the first client plays.
"""

from __future__ import annotations

import argparse
import sys
import threading
from dataclasses import dataclass
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402 (the versions have to be named first)

HOST = "127.0.0.1"
MOUNT = "/line"
# Frames between standard input and the encoder: each one is latency when the reader is the slower side.
_QUEUED_FRAMES = 1


@dataclass(frozen=True)
class Options:
    """One camera: sizes in pixels, frames per second, TCP port, and H.264's quantizer (0 lossless, 51 worst)."""

    width_px: int
    height_px: int
    fps: int
    port: int
    quantizer: int

    @property
    def frame_bytes(self) -> int:
        """The size of one rgb24 frame."""
        return self.width_px * self.height_px * 3

    def pipeline(self) -> str:
        """Return the media's pipeline: frames in at `frames`, RTP out at `pay0`."""
        size = f"width={self.width_px},height={self.height_px},framerate={self.fps}/1"
        return (
            f"( appsrc name=frames is-live=true block=true format=time do-timestamp=true"
            f" max-buffers={_QUEUED_FRAMES} max-bytes=0 max-time=0 caps=video/x-raw,format=RGB,{size}"
            # Readers take BT.601 for granted when they turn the picture back to RGB.
            f" ! videoconvert ! video/x-raw,format=I420,colorimetry=bt601"
            f" ! x264enc tune=zerolatency speed-preset=veryfast pass=quant quantizer={self.quantizer}"
            f" key-int-max={self.fps} ! video/x-h264,profile=high"
            f" ! rtph264pay name=pay0 pt=96 config-interval=1 )"
        )


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


class Camera:
    """The RTSP server around one feeder; its methods run on the main loop's thread."""

    def __init__(self, options: Options) -> None:
        self._port = options.port
        self._loop = GLib.MainLoop()
        self._feeder = Feeder(options.frame_bytes)
        self._clients = 0
        self._ended = False
        self._played = False
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(options.pipeline())
        factory.set_shared(True)
        # Over UDP the network would drop what it cannot carry.
        factory.set_protocols(GstRtsp.RTSPLowerTrans.TCP)
        factory.connect("media-configure", self._on_media)
        self._server = GstRtspServer.RTSPServer()
        self._server.set_address(HOST)
        self._server.set_service(str(options.port))
        self._server.get_mount_points().add_factory(MOUNT, factory)
        self._server.connect("client-connected", self._on_client)

    def run(self) -> None:
        """Serve until the input has ended and the last client has gone."""
        if not self._server.attach(None):
            sys.exit(f"port {self._port} of {HOST} cannot be listened on")
        threading.Thread(target=self._feed, name="feeder", daemon=True).start()
        say(f"ready {self._port}")
        self._loop.run()

    def _feed(self) -> None:
        self._feeder.run()
        GLib.idle_add(self._on_end)

    def _on_end(self) -> bool:
        self._ended = True
        self._leave_if_done()
        return bool(GLib.SOURCE_REMOVE)

    def _on_media(self, _factory: Any, media: Any) -> None:  # noqa: ANN401 (gi has no types)
        source = media.get_element().get_by_name("frames")
        media.connect("unprepared", lambda _media: self._feeder.detach(source))
        # Not yet now: until it starts and asks, an appsrc refuses what comes as if it were closed.
        source.connect("need-data", lambda source, _bytes: self._feeder.attach(source))

    def _on_client(self, _server: Any, client: Any) -> None:  # noqa: ANN401 (gi has no types)
        self._clients += 1
        client.connect("play-request", self._on_play)
        client.connect("closed", self._on_closed)

    def _on_play(self, _client: Any, _context: Any) -> None:  # noqa: ANN401 (gi has no types)
        if not self._played:
            self._played = True
            say("playing")

    def _on_closed(self, _client: Any) -> None:  # noqa: ANN401 (gi has no types)
        self._clients -= 1
        self._leave_if_done()

    def _leave_if_done(self) -> None:
        if self._ended and not self._clients:
            self._loop.quit()


def say(line: str) -> None:
    """Write one line to standard output at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description="Serve rgb24 frames from standard input as an RTSP camera.")
    parser.add_argument("--width", type=int, required=True, help="pixels, even")
    parser.add_argument("--height", type=int, required=True, help="pixels, even")
    parser.add_argument("--fps", type=int, required=True, help="frames per second that the stream declares")
    parser.add_argument("--port", type=int, required=True, help=f"TCP port of {HOST}")
    parser.add_argument("--quantizer", type=int, default=18, help="H.264 quantizer: 0 is lossless, 51 the worst")
    given = parser.parse_args()
    Gst.init(None)
    Camera(Options(given.width, given.height, given.fps, given.port, given.quantizer)).run()


if __name__ == "__main__":
    main()
