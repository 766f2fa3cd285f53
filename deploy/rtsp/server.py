"""RTSP cameras that show the pictures pushed to them, or the time.

Runs under the interpreter that has GStreamer's bindings (Debian's `python3`), so it imports nothing of linewarden but
this package.

Raw rgb24 frames of `width * height * 3` bytes each, with nothing between them, are read from standard input and served
as one live shared mount, `rtsp://127.0.0.1:PORT/line`. No frame is dropped: standard input is read only while a client
watches, so whoever pushes is held up instead. The end of the input ends the stream for the clients; the server ends
when the last of them has gone.

With `--cameras N` it reads nothing, and serves N mounts, `/camera-1` and so on, that show the time until it is stopped.

Standard output gets `ready PORT` once it listens and `playing` when the first client plays.
"""

from __future__ import annotations

import sys
import threading
from functools import partial
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402 (the versions have to be named first)

from deploy.rtsp.feeder import Feeder  # noqa: E402
from deploy.rtsp.options import Options, parse_options  # noqa: E402
from deploy.rtsp.timed import Timed  # noqa: E402

HOST = "127.0.0.1"
MOUNT = "/line"
_ROLE = "viewer"


class Camera:
    """The RTSP server around one feeder, or around several mounts that show the time.

    Its methods run on the main loop's thread.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._loop = GLib.MainLoop()
        self._feeder = Feeder(options.frame_bytes)
        self._timed = Timed(options)
        self._clients = 0
        self._ended = False
        self._played = False
        self._server = GstRtspServer.RTSPServer()
        self._server.set_address(HOST)
        self._server.set_service(str(options.port))
        if options.login is not None or options.tls_pem is not None:
            self._server.set_auth(_auth(options))
        mounts = self._server.get_mount_points()
        if not options.cameras:
            mounts.add_factory(MOUNT, self._factory(self._feeder.attach, self._feeder.detach))
        for camera in range(options.cameras):
            attach, detach = partial(self._timed.attach, camera), partial(self._timed.detach, camera)
            mounts.add_factory(f"/camera-{camera + 1}", self._factory(attach, detach))
        self._server.connect("client-connected", self._on_client)

    def run(self) -> None:
        """Serve until the input has ended and the last client has gone."""
        if not self._server.attach(None):
            sys.exit(f"port {self._options.port} of {HOST} cannot be listened on")
        work = self._timed.run if self._options.cameras else self._feed
        threading.Thread(target=work, name="feeder", daemon=True).start()
        say(f"ready {self._options.port}")
        self._loop.run()

    def _factory(self, attach: Any, detach: Any) -> Any:  # noqa: ANN401 (gi has no types)
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(self._options.pipeline())
        factory.set_shared(True)
        # Over UDP the network would drop what it cannot carry.
        factory.set_protocols(GstRtsp.RTSPLowerTrans.TCP)
        if self._options.login is not None or self._options.tls_pem is not None:
            permissions = GstRtspServer.RTSPPermissions()
            for permission in ("media.factory.access", "media.factory.construct"):
                permissions.add_permission_for_role(_ROLE, permission, True)
            factory.set_permissions(permissions)
        factory.connect("media-configure", partial(self._on_media, attach, detach))
        return factory

    def _feed(self) -> None:
        self._feeder.run()
        GLib.idle_add(self._on_end)

    def _on_end(self) -> bool:
        self._ended = True
        self._leave_if_done()
        return bool(GLib.SOURCE_REMOVE)

    def _on_media(self, attach: Any, detach: Any, _factory: Any, media: Any) -> None:  # noqa: ANN401 (gi has no types)
        source = media.get_element().get_by_name("frames")
        media.connect("unprepared", lambda _media: detach(source))
        # Not yet now: until it starts and asks, an appsrc refuses what comes as if it were closed.
        source.connect("need-data", lambda source, _bytes: attach(source))

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


def _auth(options: Options) -> Any:  # noqa: ANN401 (gi has no types)
    """Return what asks clients for a login and shows them a certificate, as far as the options say so."""
    auth = GstRtspServer.RTSPAuth()
    if options.tls_pem is not None:
        auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(options.tls_pem))
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", _ROLE)
    if options.login is None:
        auth.set_default_token(token)
        return auth
    user, password = options.login
    if options.auth == "digest":
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(user, password, token)
    else:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    return auth


def say(line: str) -> None:
    """Write one line to standard output at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Read the command line and serve."""
    options = parse_options()
    Gst.init(None)
    Camera(options).run()


if __name__ == "__main__":
    main()
