"""An RTSP camera that shows the pictures pushed to it, or several that show the time."""

from __future__ import annotations

import functools
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from deploy.servers.base import LoopbackServer
from deploy.servers.child import ChildProcess
from deploy.servers.ports import LOOPBACK
from shared.errors import ServerError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROOT = Path(__file__).parents[2]
_RUN = "import sys; sys.path.append(sys.argv.pop(1)); from deploy.rtsp.server import main; main()"
_REMEDY = (
    "Install the Debian packages python3-gi gir1.2-gst-rtsp-server-1.0 glib-networking gstreamer1.0-plugins-base "
    "gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly."
)
# Ends with a line that names what is missing, if anything is.
_PROBE = """
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
wanted = ("appsrc", "videoconvert", "x264enc", "x265enc", "jpegenc", "rtph264pay", "rtpbin")
missing = [name for name in wanted if Gst.ElementFactory.find(name) is None]
raise SystemExit("GStreamer has no " + ", ".join(missing) if missing else 0)
"""
_PROBE_DEADLINE_S = 30
_ANSWER_TIMEOUT_S = 1.0


def rtsp_available() -> str | None:
    """Return why the RTSP server cannot be started on this machine, or None when it can."""
    found = _find_interpreter()
    return found if isinstance(found, str) else None


@dataclass(frozen=True, slots=True)
class Served:
    """How pictures are served.

    `colorimetry` is GStreamer's: bt601, bt709, or RANGE:MATRIX:TRANSFER:PRIMARIES in numbers, where range 1 is full.
    `login` is a user and a password that clients must give as `auth` says; `tls_pem` is a certificate and its key.
    `cameras` above 0 are so many mounts that show the time, and nothing can be pushed. After `turn[0]` frames each of
    them shows frames of `turn[1]` by `turn[2]` pixels.
    """

    codec: Literal["h264", "h265", "mjpeg"] = "h264"
    colorimetry: str = "bt601"
    login: tuple[str, str] | None = None
    auth: Literal["basic", "digest"] = "digest"
    tls_pem: Path | None = None
    cameras: int = 0
    turn: tuple[int, int, int] | None = None

    def arguments(self) -> list[str]:
        """Return the command line that asks for it."""
        found = ["--codec", self.codec, "--colorimetry", self.colorimetry, "--cameras", str(self.cameras)]
        if self.login is not None:
            found += ["--user", self.login[0], "--password", self.login[1], "--auth", self.auth]
        if self.tls_pem is not None:
            found += ["--tls", str(self.tls_pem)]
        if self.turn is not None:
            found += ["--turn", *map(str, self.turn)]
        return found


_PUSHED = Served()


class RtspServer(LoopbackServer):
    """A live camera at `url` whose pictures are what `push` is given; over TCP, no frame dropped.

    `width` and `height` are even pixel counts, `fps` is the rate that the stream declares (a picture's time is that of
    its arrival), `quantizer` is the codec's: 0 lossless, 18 hard to tell from the original, 51 worst. `served` says
    what else: another codec, a login, TLS, or cameras that show the time. Without a `data_dir` its log lies in a
    temporary folder that goes when the server ends.
    """

    name: ClassVar[str] = "rtsp"
    stop_deadline_s: ClassVar[float] = 5.0

    def __init__(
        self,
        width: int,
        height: int,
        fps: int,
        port: int = 0,
        *,
        quantizer: int = 18,
        data_dir: Path | None = None,
        served: Served = _PUSHED,
    ) -> None:
        if width <= 0 or height <= 0 or width % 2 or height % 2:
            raise ServerError(
                f"The RTSP server cannot show {width} x {height} pixels", "Give even sizes: video is 4:2:0."
            )
        self._own_dir = data_dir is None
        super().__init__(data_dir or Path(tempfile.gettempdir()) / f"linewarden-rtsp-{uuid.uuid4().hex}", port)
        self._shape = (height, width, 3)
        self._fps = fps
        self._quantizer = quantizer
        self._served = served

    @property
    def url(self) -> str:
        """`rtsp://127.0.0.1:PORT/line`, without a login; with TLS rtsps. Of cameras that show the time, the first."""
        return self._address("camera-1" if self._served.cameras else "line")

    @property
    def urls(self) -> list[str]:
        """Each camera that shows the time."""
        return [self._address(f"camera-{number + 1}") for number in range(self._served.cameras)]

    def push(self, frame: NDArray[np.uint8]) -> None:
        """Show a picture: (height, width, 3) uint8, RGB.

        Blocks until the server has taken all but the last 64 KiB of it, which it does only while a client watches: call
        it from a thread of its own. Raises ValueError for another shape or type, ServerError when the server has ended,
        ends meanwhile, or `end` was called.
        """
        if frame.shape != self._shape or frame.dtype != np.uint8:
            raise ValueError(f"A frame is {self._shape} uint8, not {frame.shape} {frame.dtype}")
        try:
            self._started().write(np.ascontiguousarray(frame).data.cast("B"))
        except BrokenPipeError as error:
            raise ServerError(f"The RTSP server on port {self.port} takes no more pictures") from error

    def end(self) -> None:
        """End the stream once clients have had all pictures; the server ends when they have gone."""
        self._started().close_input()

    def _launch(self) -> ChildProcess:
        interpreter = _find_interpreter()
        if isinstance(interpreter, str):
            raise ServerError(interpreter, _REMEDY)
        height, width, _ = self._shape
        # Isolated: the packages of this virtual environment are not for that interpreter.
        argv = [str(interpreter), "-I", "-c", _RUN, str(_ROOT), "--port", str(self.port), "--fps", str(self._fps)]
        argv += ["--width", str(width), "--height", str(height), "--quantizer", str(self._quantizer)]
        return ChildProcess(argv + self._served.arguments(), self.log_path, pipe_input=True)

    def _answers(self) -> bool:
        plain = socket.create_connection((LOOPBACK, self.port), _ANSWER_TIMEOUT_S)
        with plain if self._served.tls_pem is None else _unverified().wrap_socket(plain) as connection:
            connection.sendall(f"OPTIONS {self.url} RTSP/1.0\r\nCSeq: 1\r\n\r\n".encode("ascii"))
            # One that asks for a login says 401, and is there too.
            return connection.recv(256).startswith(b"RTSP/1.0 ")

    def _address(self, mount: str) -> str:
        scheme = "rtsp" if self._served.tls_pem is None else "rtsps"
        return f"{scheme}://{LOOPBACK}:{self.port}/{mount}"

    def _ended(self, *, orderly: bool) -> None:
        del orderly
        if self._own_dir:
            shutil.rmtree(self.data_dir)


def _unverified() -> ssl.SSLContext:
    # Whether something of ours answers is asked here, not who it is.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@functools.cache
def _find_interpreter() -> Path | str:
    """Return the first Python with GStreamer's RTSP server, or why there is none."""
    # The system's own first: the bindings come from the distribution's packages.
    candidates = [shutil.which("python3", path=os.defpath), shutil.which("python3"), sys.executable]
    problems: list[str] = []
    for candidate in dict.fromkeys(Path(path) for path in candidates if path):
        problem = _probe(candidate)
        if problem is None:
            return candidate
        problems.append(f"{candidate}: {problem}")
    return f"No Python here can serve RTSP ({'; '.join(problems)})"


def _probe(interpreter: Path) -> str | None:
    try:
        done = subprocess.run(
            [str(interpreter), "-I", "-c", _PROBE],
            capture_output=True,
            text=True,
            check=False,
            timeout=_PROBE_DEADLINE_S,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {_PROBE_DEADLINE_S} s"
    if done.returncode == 0:
        return None
    return (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
