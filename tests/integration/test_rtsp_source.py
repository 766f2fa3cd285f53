"""Live sources against real RTSP servers that are killed, frozen, restarted, locked and sped up."""

from __future__ import annotations

import asyncio
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest
from structlog.testing import capture_logs

from deploy.servers.ports import free_port
from deploy.servers.rtsp import RtspServer, Served
from ingest.sources.base import TimeSource
from ingest.sources.video.rtsp import RtspSource
from shared.camera_settings import RtspSettings
from shared.errors import LossCause
from tests.rtsp_cameras import loss_of, next_picture, off_by_ms, refusal_of, rtsp_source
from tests.videos import CHART, HEIGHT_PX, WIDTH_PX, chart, patches_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

pytestmark = [pytest.mark.rtsp, pytest.mark.usefixtures("rtsp")]
TIMED = Served(cameras=1)
NOTICED_S = 2.0


async def test_a_killed_camera_comes_back_with_another_size() -> None:
    """A killed server is ENDED within 2 s, its absence UNREACHABLE; after a restart its new size is read and told."""
    with RtspServer(320, 240, 25, served=TIMED) as server, capture_logs() as logs:
        async with rtsp_source(server.url) as source:
            await source.open()
            await next_picture(source)
            server.kill9()
            loss, after_s = await loss_of(source)
            assert loss.cause is LossCause.ENDED
            assert after_s < NOTICED_S
            assert (await refusal_of(source)).cause is LossCause.UNREACHABLE
            with RtspServer(256, 192, 25, server.port, served=TIMED):
                await source.open()
                shot = await next_picture(source)
            assert shot.pixels is not None
            assert shot.pixels.shape == (192, 256, 3)
    changes = [(entry["old"], entry["new"]) for entry in logs if entry["event"] == "picture.changed"]
    assert changes == [("h264 320x240", "h264 256x192")]


async def test_a_frozen_camera_is_noticed_and_comes_back() -> None:
    """A server that stands still is STALLED within 2 s, cannot be opened, is read again later, and leaves no thread."""
    with RtspServer(320, 240, 25, served=TIMED) as server:
        async with rtsp_source(server.url) as source:
            await source.open()
            await next_picture(source)
            server.freeze()
            loss, after_s = await loss_of(source)
            assert loss.cause is LossCause.STALLED
            assert after_s < NOTICED_S
            assert (await refusal_of(source)).cause is LossCause.STALLED
            server.thaw()
            await source.open()
            await next_picture(source)
    deadline_s = time.monotonic() + 5
    while any(thread.name.startswith("rtsp") for thread in threading.enumerate()):
        assert time.monotonic() < deadline_s, "a thread of a frozen session has not ended"
        await asyncio.sleep(0.05)


async def test_the_last_picture_before_a_silence_is_read() -> None:
    """The picture that FFmpeg holds back until the next one begins comes before the silence is told."""
    with RtspServer(320, 240, 25) as server:
        async with rtsp_source(server.url) as source:
            pusher = threading.Thread(target=push_levels, args=(server, 10))
            pusher.start()
            await source.open()
            levels = [await level_of(source) for _ in range(10)]
            loss, after_s = await loss_of(source)
            pusher.join()
    assert levels == list(range(1, 11))
    assert loss.cause is LossCause.STALLED
    assert after_s < NOTICED_S


async def level_of(source: RtspSource) -> int:
    """Return which of the pushed pictures is the next."""
    return round(float(np.asarray((await next_picture(source)).pixels).mean()) / 20)


def push_levels(server: RtspServer, count: int) -> None:
    """Push so many pictures, each brighter than the one before, and nothing more."""
    for index in range(count):
        server.push(np.full((240, 320, 3), 20 * (index + 1), np.uint8))


async def test_one_frozen_camera_leaves_the_others_alone() -> None:
    """While one of four cameras freezes and is found out, the others go on as before."""
    with RtspServer(320, 240, 25, served=Served(cameras=3)) as well, RtspServer(320, 240, 25, served=TIMED) as ill:
        async with AsyncExitStack() as stack:
            sources = [await stack.enter_async_context(rtsp_source(url)) for url in (*well.urls, ill.url)]
            for source in sources:
                await source.open()
                await next_picture(source)
            ill.freeze()
            trouble = asyncio.ensure_future(loss_of(sources[-1]))
            shots = await asyncio.gather(*(pictures_within(source, 2.0) for source in sources[:-1]))
            assert (await trouble)[0].cause is LossCause.STALLED
            ill.kill9()
    # At 25 a second, with room for a busy machine.
    assert min(shots) >= 35


async def pictures_within(source: RtspSource, seconds: float) -> int:
    """Return how many pictures come in so many seconds."""
    count = 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                await next_picture(source)
                count += 1
    except TimeoutError:
        return count


@pytest.mark.parametrize("auth", ["basic", "digest"])
async def test_a_login_is_given_and_never_told(auth: Literal["basic", "digest"]) -> None:
    """The right login plays, with an @ and a / in it as an address writes them; a wrong one is LOGIN at once."""
    with (
        RtspServer(320, 240, 25, served=Served(cameras=1, login=("op", "p@ss/1"), auth=auth)) as server,
        capture_logs() as logs,
    ):
        address = server.url.removeprefix("rtsp://")
        async with rtsp_source(f"rtsp://op:p%40ss%2F1@{address}") as source:
            await source.open()
            await next_picture(source)
        for wrong in (f"rtsp://op:hunter2@{address}", server.url):
            async with rtsp_source(wrong) as source:
                refusal = await refusal_of(source)
                assert refusal.cause is LossCause.LOGIN
                assert "hunter2" not in f"{refusal!r} {refusal.__cause__!r} {refusal.__context__!r} {logs}"


async def test_another_path_is_told_as_such() -> None:
    """A server that has no such stream is told apart from one that is away."""
    with RtspServer(320, 240, 25, served=TIMED) as server:
        async with rtsp_source(f"{server.url}1") as source:
            assert "has no such stream" in str(await refusal_of(source))
    async with rtsp_source(f"rtsp://127.0.0.1:{free_port()}/line") as source:
        refusal = await refusal_of(source)
        assert refusal.cause is LossCause.UNREACHABLE


@pytest.mark.parametrize(
    ("codec", "colorimetry"),
    [
        ("h264", "bt601"),
        ("h264", "bt709"),
        ("h264", "1:3:5:1"),
        ("h265", "bt601"),
        ("h265", "bt709"),
        ("mjpeg", "1:4:0:0"),
    ],
)
async def test_colours_arrive(codec: Literal["h264", "h265", "mjpeg"], colorimetry: str) -> None:
    """A chart of colours arrives through each codec, by the matrix and range that it names.

    Within seven levels: the server's own conversion cuts off what it should round, up to two levels of each plane.
    """
    served = Served(codec=codec, colorimetry=colorimetry)
    with RtspServer(WIDTH_PX, HEIGHT_PX, 25, quantizer=8, served=served) as server, shown(server, chart()):
        async with rtsp_source(server.url) as source:
            await source.open()
            for _ in range(5):
                shot = await next_picture(source)
                np.testing.assert_allclose(patches_of(np.asarray(shot.pixels, np.uint8)), CHART, atol=7)


@contextmanager
def shown(server: RtspServer, picture: NDArray[np.uint8]) -> Iterator[None]:
    """Push a picture again and again."""
    stop = threading.Event()

    def push() -> None:
        while not stop.is_set():
            server.push(picture)
            stop.wait(0.04)

    pusher = threading.Thread(target=push)
    pusher.start()
    try:
        yield
    finally:
        stop.set()
        pusher.join()


@pytest.mark.parametrize("codec", ["h264", "h265", "mjpeg"])
async def test_exposures_are_known_by_the_cameras_clock(codec: Literal["h264", "h265", "mjpeg"]) -> None:
    """Once a sender report has come, a picture's time is the camera's; before, that of its first bytes' receipt."""
    with RtspServer(320, 240, 10, served=Served(codec=codec, cameras=1)) as server:
        async with rtsp_source(server.url) as source, asyncio.timeout(10):
            await source.open()
            for _ in range(10):  # among them those that came while it was opened
                assert -5 <= off_by_ms(await next_picture(source)) < 150
            received = await next_picture(source)
            while received.time_source is TimeSource.RECEIPT:
                assert -5 <= off_by_ms(received) < 60
                received = await next_picture(source)
            exact = [off_by_ms(await next_picture(source)) for _ in range(10)]
            assert max(map(abs, exact)) < 25
            assert source.counts["times_not_taken"] == 0


@pytest.mark.parametrize("codec", ["h264", "h265", "mjpeg"])
async def test_a_picture_does_not_wait_for_the_next(codec: Literal["h264", "h265", "mjpeg"]) -> None:
    """At five pictures a second most are read long before the next one is shown."""
    with RtspServer(320, 240, 5, served=Served(codec=codec, cameras=1)) as server:
        async with rtsp_source(server.url) as source, asyncio.timeout(10):
            await source.open()
            for _ in range(13):  # until it is known how the camera sends
                await next_picture(source)
            ages_ms = [off_by_ms(replace(await next_picture(source), captured_at_ns=time.time_ns())) for _ in range(7)]
            assert sorted(ages_ms)[3] < 120
            assert source.counts["late_pieces"] == 0


@pytest.mark.parametrize("codec", ["h264", "h265", "mjpeg"])
async def test_another_size_in_mid_stream_goes_on(codec: Literal["h264", "h265", "mjpeg"]) -> None:
    """A live stream that changes its size goes on in the new one, and tells it."""
    with (
        RtspServer(320, 240, 25, served=Served(codec=codec, cameras=1, turn=(15, 256, 192))) as server,
        capture_logs() as logs,
    ):
        async with rtsp_source(server.url) as source, asyncio.timeout(10):
            await source.open()
            while (shot := await next_picture(source)).pixels is not None and shot.pixels.shape == (240, 320, 3):
                pass
            assert shot.pixels is not None
            assert shot.pixels.shape == (192, 256, 3)
            assert abs(off_by_ms(shot)) < 1_000
    assert [entry["event"] for entry in logs].count("picture.changed") == 1


async def test_a_secure_camera_is_asked_who_it_is(tmp_path: Path) -> None:
    """An unknown certificate is refused by default; a known one plays, and any one does where that is asked for."""
    pem, certificate = make_certificate(tmp_path)
    with RtspServer(320, 240, 25, served=Served(cameras=1, tls_pem=pem)) as server:
        async with rtsp_source(server.url) as source:
            assert "rtsp.ca_file" in str(await refusal_of(source))
        for settings in (RtspSettings(ca_file=certificate), RtspSettings(verify_certificate=False)):
            async with rtsp_source(server.url, settings=settings) as source:
                await source.open()
                await next_picture(source)


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Return a file with a certificate for 127.0.0.1 and its key, and one with the certificate alone."""
    key, certificate, both = folder / "key.pem", folder / "certificate.pem", folder / "both.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=camera -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([*command.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    return both, certificate
