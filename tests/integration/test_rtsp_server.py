"""The RTSP server that plays a camera, watched through FFmpeg."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from deploy.servers.rtsp import RtspServer, rtsp_available
from shared.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Without `nobuffer`: with it FFmpeg throws away the pictures it looks at while it opens the stream.
LOW_LATENCY = {
    "rtsp_transport": "tcp",
    "flags": "low_delay",
    "max_delay": "0",
    "probesize": "65536",
    "fpsprobesize": "0",
    "analyzeduration": "1",
}


@pytest.mark.rtsp
def test_rtsp_serves_every_pushed_frame_in_order() -> None:
    """Thirty frames pushed from before the first client came are all read back, in order, and then the stream ends."""
    levels = [8 * index for index in range(30)]
    with RtspServer(320, 240, 30) as server:
        pusher = threading.Thread(target=push_all, args=(server, [grey(level) for level in levels]))
        pusher.start()
        seen = watch(server.url)
        pusher.join()
    assert [round(level / 8) for level in seen] == list(range(30))
    np.testing.assert_allclose(seen, levels, atol=3)


@pytest.mark.rtsp
def test_rtsp_keeps_colours_and_channel_order() -> None:
    """Red, green and blue come back as such, within what H.264 takes."""
    halves = np.zeros((240, 320, 3), np.uint8)
    halves[:, :160] = (200, 30, 60)
    halves[:, 160:] = (20, 180, 90)
    with RtspServer(320, 240, 30) as server:
        pusher = threading.Thread(target=push_all, args=(server, [halves]))
        pusher.start()
        with av.open(server.url, options=LOW_LATENCY, timeout=(5, 5)) as stream:
            picture = next(stream.decode(video=0)).to_ndarray(format="rgb24")
        pusher.join()
    np.testing.assert_allclose(picture[120, 40], (200, 30, 60), atol=6)
    np.testing.assert_allclose(picture[120, 280], (20, 180, 90), atol=6)


@pytest.mark.rtsp
def test_rtsp_goes_on_with_a_second_client() -> None:
    """When the only client leaves, the input waits for the next one, who gets the frames from there to the end."""
    with RtspServer(320, 240, 30) as server:
        left = threading.Event()
        pusher = threading.Thread(target=push_around, args=(server, left))
        pusher.start()
        with av.open(server.url, options=LOW_LATENCY, timeout=(5, 5)) as stream:
            first = next(stream.decode(video=0)).to_ndarray(format="gray")
        left.set()
        seen = watch(server.url)
        pusher.join()
    assert first[120, 160] < 100
    assert seen[-1] > 200


@pytest.mark.rtsp
def test_rtsp_push_fails_once_the_server_is_killed() -> None:
    """A push that waits for a client ends with an error when the server dies, and so do later ones."""
    outcome: list[ServerError] = []
    started = threading.Event()

    def push_for_ever(server: RtspServer) -> None:
        frame = np.zeros((480, 640, 3), np.uint8)
        started.set()
        try:
            while True:
                server.push(frame)
        except ServerError as error:
            outcome.append(error)

    with RtspServer(640, 480, 30) as server:
        pusher = threading.Thread(target=push_for_ever, args=(server,))
        pusher.start()
        started.wait()
        server.kill9()
        pusher.join()
        assert len(outcome) == 1
        with pytest.raises(ServerError, match="not running"):
            server.push(np.zeros((480, 640, 3), np.uint8))


@pytest.mark.rtsp
def test_rtsp_refuses_frames_of_another_shape() -> None:
    """A frame whose shape or type is not the camera's is refused before it can shift all later ones."""
    server = RtspServer(320, 240, 30)
    with pytest.raises(ValueError, match=r"\(240, 320, 3\) uint8, not \(320, 240, 3\) uint8"):
        server.push(np.zeros((320, 240, 3), np.uint8))
    with pytest.raises(ServerError, match=r"321 x 240.*even"):
        RtspServer(321, 240, 30)


@pytest.mark.rtsp
def test_rtsp_available_here() -> None:
    """With the Debian packages installed there is no reason against the RTSP server."""
    assert rtsp_available() is None


def push_all(server: RtspServer, frames: Sequence[NDArray[np.uint8]]) -> None:
    """Push the pictures, then end the stream."""
    for frame in frames:
        server.push(frame)
    server.end()


def push_around(server: RtspServer, left: threading.Event) -> None:
    """Push dark pictures until the first client has left, then bright ones to the end."""
    while not left.is_set():
        server.push(grey(40))
    push_all(server, [grey(220)] * 30)


def grey(level: int) -> NDArray[np.uint8]:
    """Return a 320 x 240 picture of one grey."""
    return np.full((240, 320, 3), level, np.uint8)


def watch(url: str) -> list[int]:
    """Return the middle pixel's grey of every frame until the stream ends."""
    with av.open(url, options=LOW_LATENCY, timeout=(5, 5)) as stream:
        return [int(frame.to_ndarray(format="rgb24")[120, 160, 1]) for frame in stream.decode(video=0)]
