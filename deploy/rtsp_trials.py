"""What RTSP cameras are put through: latency, faults, many at once, a frozen one among them."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import psutil

from deploy.rtsp_watch import Latency, age_ms, latency_of, next_picture, opened, source_of, watch, watch_all
from deploy.servers.rtsp import RtspServer, Served
from ingest.sources.base import Shot
from ingest.sources.video.rtsp import RtspSource
from shared.errors import LossCause, SourceUnavailableError

WIDTH_PX: Final = 640
HEIGHT_PX: Final = 480
_SETTLE_S: Final = 4.0
_GIVE_UP_S: Final = 10.0
_PAUSE_S: Final = 0.5
_CORES: Final = 2
_LOGIN: Final = ("operator", "correct")


@dataclass(frozen=True, slots=True)
class Fault:
    """A camera that failed: why it was said to, after how many seconds, and how soon after its return it was read.

    A change of its picture is no loss and has no cause.
    """

    name: str
    expected: LossCause | None
    cause: LossCause | None
    noticed_s: float
    back_s: float


@dataclass(frozen=True, slots=True)
class Many:
    """Many cameras in one process: the slowest one's rate, the latency of all, and what the process took of one core.

    `during` is the latency of all but the one that was frozen meanwhile.
    """

    cameras: int
    fps: int
    slowest_fps: float
    without_picture: int
    cpu_percent: float
    before: Latency
    during: Latency


async def measure_latency(codec: str, *, fps: int, seconds: float) -> Latency:
    """Read one camera."""
    served = Served(codec=codec, cameras=1)  # type: ignore[arg-type]
    with RtspServer(WIDTH_PX, HEIGHT_PX, fps, served=served) as server:
        async with opened(server.url) as source:
            await watch(source, _SETTLE_S)
            return latency_of((await watch(source, seconds)).ages)


async def killed() -> Fault:
    """Kill a camera, and start it again with another size."""
    with RtspServer(WIDTH_PX, HEIGHT_PX, 25, served=Served(cameras=1)) as server:
        async with opened(server.url) as source:
            server.kill9()
            cause, noticed_s = await _loss(source)
            with RtspServer(320, 240, 25, server.port, served=Served(cameras=1)):
                shot, back_s = await _back(source)
                if shot.pixels is None or shot.pixels.shape != (240, 320, 3) or not source.counts["picture_changed"]:
                    raise AssertionError("the camera came back with the size that it had")
    return Fault("killed, back with another resolution", LossCause.ENDED, cause, noticed_s, back_s)


async def frozen() -> Fault:
    """Freeze a camera, and let it go on."""
    with RtspServer(WIDTH_PX, HEIGHT_PX, 25, served=Served(cameras=1)) as server:
        async with opened(server.url) as source:
            server.freeze()
            cause, noticed_s = await _loss(source)
            server.thaw()
            _, back_s = await _back(source)
    return Fault("frozen", LossCause.STALLED, cause, noticed_s, back_s)


async def turned() -> Fault:
    """Change a camera's size in mid-stream: noticed when the first picture of the new size is read."""
    after = 50
    served = Served(cameras=1, turn=(after, 320, 240))
    with RtspServer(WIDTH_PX, HEIGHT_PX, 25, served=served) as server:
        async with opened(server.url) as source:
            while (shot := await next_picture(source)).pixels is not None and shot.pixels.shape[1] == WIDTH_PX:
                pass
            noticed_s = age_ms(shot, time.time_ns()) / 1_000
            if not source.counts["picture_changed"]:
                raise AssertionError("the change was not told")
    return Fault("another resolution in mid-stream", None, None, noticed_s, noticed_s)


async def refused() -> Fault:
    """Give a wrong login, then the right one."""
    with RtspServer(WIDTH_PX, HEIGHT_PX, 25, served=Served(cameras=1, login=_LOGIN)) as server:
        address = server.url.removeprefix("rtsp://")
        began_s = time.monotonic()
        wrong = source_of(f"rtsp://{_LOGIN[0]}:wrong@{address}")
        try:
            await wrong.open()
        except SourceUnavailableError as error:
            cause, noticed_s = error.cause, time.monotonic() - began_s
        else:
            raise AssertionError("the server took a wrong login")
        finally:
            await wrong.close()
        right = source_of(f"rtsp://{':'.join(_LOGIN)}@{address}")
        try:
            _, back_s = await _back(right)
        finally:
            await right.close()
    return Fault("credentials refused", LossCause.LOGIN, cause, noticed_s, back_s)


async def many(*, cameras: int, fps: int, seconds: float) -> Many:
    """Read many cameras in this process on two cores; freeze the last of them for the second half."""
    with (
        _on_two_cores(),
        RtspServer(WIDTH_PX, HEIGHT_PX, fps, served=Served(cameras=cameras - 1)) as well,
        RtspServer(WIDTH_PX, HEIGHT_PX, fps, served=Served(cameras=1)) as ill,
    ):
        sources = [source_of(url) for url in (*well.urls, ill.url)]
        try:
            for source in sources:
                await source.open()
            await watch_all(sources, _SETTLE_S)
            process = psutil.Process()
            process.cpu_percent()
            before = await watch_all(sources, seconds)
            cpu_percent = process.cpu_percent()
            ill.freeze()
            trouble = asyncio.ensure_future(_again_and_again(sources[-1]))
            during = await watch_all(sources[:-1], seconds)
            trouble.cancel()
            await asyncio.gather(trouble, return_exceptions=True)
            ill.kill9()
        finally:
            for source in sources:
                await source.close()
    return Many(
        cameras=cameras,
        fps=fps,
        slowest_fps=round(min(len(watched.ages) for watched in before) / seconds, 2),
        without_picture=sum(watched.without_picture for watched in (*before, *during)),
        cpu_percent=round(cpu_percent, 1),
        before=latency_of([age for watched in before[:-1] for age in watched.ages]),
        during=latency_of([age for watched in during for age in watched.ages]),
    )


async def _loss(source: RtspSource) -> tuple[LossCause, float]:
    began_s = time.monotonic()
    try:
        async with asyncio.timeout(_GIVE_UP_S):
            while True:
                await source.read()
    except SourceUnavailableError as error:
        return error.cause, round(time.monotonic() - began_s, 3)


async def _back(source: RtspSource) -> tuple[Shot, float]:
    began_s = time.monotonic()
    async with asyncio.timeout(_GIVE_UP_S):
        while True:
            try:
                await source.open()
                return await next_picture(source), round(time.monotonic() - began_s, 3)
            except SourceUnavailableError:
                await asyncio.sleep(_PAUSE_S)


async def _again_and_again(source: RtspSource) -> None:
    """Do with a lost camera what the service does."""
    while True:
        try:
            while True:
                await source.read()
        except SourceUnavailableError:
            await source.close()
        while True:
            await asyncio.sleep(_PAUSE_S)
            try:
                await source.open()
                break
            except SourceUnavailableError:
                continue


@contextmanager
def _on_two_cores() -> Iterator[None]:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(allowed)[:_CORES]))
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
