"""What an RTSP camera of the development set-up is asked for, and the pipeline that makes it so."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

# Frames between the feeder and the encoder: each one is latency when the reader is the slower side.
_QUEUED_FRAMES = 1


@dataclass(frozen=True)
class Options:
    """One server: sizes in pixels, frames per second, TCP port, and the quantizer (0 lossless, 51 worst).

    `colorimetry` is GStreamer's: bt601, bt709, or RANGE:MATRIX:TRANSFER:PRIMARIES as numbers, where range 1 is full.
    `login` is a user and a password, asked for as `auth` says. `cameras` above 0 are that many mounts that show the
    time by themselves; after `turn_after` frames each, they show frames of `turn_width_px` by `turn_height_px`.
    """

    width_px: int
    height_px: int
    fps: int
    port: int
    quantizer: int = 18
    codec: str = "h264"
    colorimetry: str = "bt601"
    login: tuple[str, str] | None = None
    auth: str = "digest"
    tls_pem: str | None = None
    cameras: int = 0
    turn_after: int = 0
    turn_width_px: int = 0
    turn_height_px: int = 0

    @property
    def frame_bytes(self) -> int:
        """The size of one rgb24 frame."""
        return self.width_px * self.height_px * 3

    def caps(self, width_px: int, height_px: int) -> str:
        """Return the description of an rgb24 frame."""
        return f"video/x-raw,format=RGB,width={width_px},height={height_px},framerate={self.fps}/1"

    def pipeline(self) -> str:
        """Return the media's pipeline: frames in at `frames`, RTP out at `pay0`.

        Frames that were pushed hold their pusher up; a frame that shows the time is dropped for a newer one.
        """
        hold = "block=true" if not self.cameras else "block=false leaky-type=downstream"
        return (
            f"( appsrc name=frames is-live=true {hold} format=time do-timestamp=true"
            f" max-buffers={_QUEUED_FRAMES} max-bytes=0 max-time=0 caps={self.caps(self.width_px, self.height_px)}"
            f" ! videoconvert ! video/x-raw,format=I420,colorimetry={self.colorimetry} ! {self._encoder()} )"
        )

    def _encoder(self) -> str:
        quantizer, interval = self.quantizer, self.fps
        match self.codec:
            case "h264":
                return (
                    f"x264enc tune=zerolatency speed-preset=veryfast pass=quant quantizer={quantizer}"
                    f" key-int-max={interval} ! video/x-h264,profile=high"
                    f" ! rtph264pay name=pay0 pt=96 config-interval=1"
                )
            case "h265":
                return (
                    f"x265enc tune=zerolatency speed-preset=ultrafast qp={quantizer} key-int-max={interval}"
                    # One thread more would hold a picture back for it.
                    f" option-string=frame-threads=1:log-level=none"
                    f" ! rtph265pay name=pay0 pt=96 config-interval=1"
                )
            case "mjpeg":
                return f"jpegenc quality={max(1, 100 - quantizer)} ! rtpjpegpay name=pay0 pt=26"
            case _:
                raise ValueError(f"no codec {self.codec!r}")


def parse_options() -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Serve pictures as RTSP cameras.")
    parser.add_argument("--width", type=int, required=True, help="pixels, even")
    parser.add_argument("--height", type=int, required=True, help="pixels, even")
    parser.add_argument("--fps", type=int, required=True, help="frames per second that the stream declares")
    parser.add_argument("--port", type=int, required=True, help="TCP port of 127.0.0.1")
    parser.add_argument("--quantizer", type=int, default=18, help="0 is lossless, 51 the worst")
    parser.add_argument("--codec", choices=("h264", "h265", "mjpeg"), default="h264")
    parser.add_argument("--colorimetry", default="bt601", help="as GStreamer writes it")
    parser.add_argument("--user", default="", help="ask for this user and this password")
    parser.add_argument("--password", default="")
    parser.add_argument("--auth", choices=("basic", "digest"), default="digest")
    parser.add_argument("--tls", default=None, help="a PEM file with certificate and key: serve rtsps")
    parser.add_argument("--cameras", type=int, default=0, help="show the time on so many mounts, /camera-1 and on")
    parser.add_argument("--turn", type=int, nargs=3, default=(0, 0, 0), help="after so many frames: width, height")
    given = parser.parse_args()
    after, turn_width_px, turn_height_px = given.turn
    return Options(
        width_px=given.width,
        height_px=given.height,
        fps=given.fps,
        port=given.port,
        quantizer=given.quantizer,
        codec=given.codec,
        colorimetry=given.colorimetry,
        login=(given.user, given.password) if given.user else None,
        auth=given.auth,
        tls_pem=given.tls,
        cameras=given.cameras,
        turn_after=after,
        turn_width_px=turn_width_px,
        turn_height_px=turn_height_px,
    )
