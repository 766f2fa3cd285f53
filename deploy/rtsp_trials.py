"""What RTSP cameras are put through: latency, faults, many at once, a frozen one among them."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
import psutil

from deploy.servers.rtsp import RtspServer, Served
from ingest.slate import read_slate
from ingest.sources.base import Shot, TimeSource
from ingest.sources.video.rtsp import RtspSource
from shared.camera_settings import CameraSettings
from shared.clock import NS_PER_MS, SystemClock
from shared.errors import LossCause, SourceUnavailableError

WIDTH_PX: Final = 640
HEIGHT_PX: Final = 480
_TURN: Final = 1 << 24
_SETTLE_S: Final = 4.0
_GIVE_UP_S: Final = 10.0
_PAUSE_S: Final = 0.5
_CORES: Final = 2
_LOGIN: Final = ("operator", "correct")


@dataclass(frozen=True, slots=True)
class Latency:
    """From the moment that a picture shows to the moment that it is read: milliseconds, of so many pictures.

    `captured_off_ms` is the largest difference between `captured_at` and that moment, by the camera's clock.
    """

    pictures: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    captured_off_ms: int | None


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


def source_of(url: str) -> RtspSource:
    """Return a source with the default settings."""
    camera = CameraSettings()
    return RtspSource(
        url,
        settings=camera.rtsp,
        limit=None,
        slate=False,
        stall_ms=camera.stall_ms,
        trusts=camera.clock,
        clock=SystemClock(),
    )


async def measure_latency(codec: str, *, fps: int, seconds: float) -> Latency:
    """Read one camera."""
    served = Served(codec=codec, cameras=1)  # type: ignore[arg-type]
    with RtspServer(WIDTH_PX, HEIGHT_PX, fps, served=served) as server:
        async with _opened(server.url) as source:
            await _watch(source, _SETTLE_S)
            return _latency((await _watch(source, seconds)).ages)


async def killed() -> Fault:
    """Kill a camera, and start it again with another size."""
    with RtspServer(WIDTH_PX, HEIGHT_PX, 25, served=Served(cameras=1)) as server:
        async with _opened(server.url) as source:
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
        async with _opened(server.url) as source:
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
        async with _opened(server.url) as source:
            while (shot := await _picture(source)).pixels is not None and shot.pixels.shape[1] == WIDTH_PX:
                pass
            noticed_s = _age_ms(shot, time.time_ns()) / 1_000
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
            await _watch_all(sources, _SETTLE_S)
            process = psutil.Process()
            process.cpu_percent()
            before = await _watch_all(sources, seconds)
            cpu_percent = process.cpu_percent()
            ill.freeze()
            trouble = asyncio.ensure_future(_again_and_again(sources[-1]))
            during = await _watch_all(sources[:-1], seconds)
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
        before=_latency([age for watched in before[:-1] for age in watched.ages]),
        during=_latency([age for watched in during for age in watched.ages]),
    )


@dataclass(frozen=True, slots=True)
class _Age:
    """How old a picture was when it was read, and by how much `captured_at` is off where the camera told it."""

    ms: int
    captured_off_ms: int | None


@dataclass(frozen=True, slots=True)
class _Watched:
    ages: list[_Age]
    without_picture: int


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[RtspSource]:
    source = source_of(url)
    try:
        await source.open()
        await _picture(source)
        yield source
    finally:
        await source.close()


async def _picture(source: RtspSource) -> Shot:
    while True:
        shot = await source.read()
        if shot is not None and shot.pixels is not None:
            return shot


async def _watch(source: RtspSource, seconds: float) -> _Watched:
    ages: list[_Age] = []
    without_picture = 0
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        shot = await source.read()
        if shot is None or shot.pixels is None:
            without_picture += 1
            continue
        now_ns = time.time_ns()
        off_ms = _since_shown_ms(shot, shot.captured_at_ns) if shot.time_source is TimeSource.CAMERA else None
        ages.append(_Age(_age_ms(shot, now_ns), off_ms))
    return _Watched(ages, without_picture)


async def _watch_all(sources: Sequence[RtspSource], seconds: float) -> list[_Watched]:
    return list(await asyncio.gather(*(_watch(source, seconds) for source in sources)))


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
                return await _picture(source), round(time.monotonic() - began_s, 3)
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


def _since_shown_ms(shot: Shot, at_ns: int) -> int:
    shown = read_slate(np.asarray(shot.pixels, np.uint8))[1].number
    return (at_ns // NS_PER_MS - shown + _TURN // 2) % _TURN - _TURN // 2


def _age_ms(shot: Shot, now_ns: int) -> int:
    # The slate's time is cut to milliseconds, which makes a picture older, never younger.
    return _since_shown_ms(shot, now_ns)


def _latency(ages: Sequence[_Age]) -> Latency:
    found = np.array([age.ms for age in ages])
    off = [abs(age.captured_off_ms) for age in ages if age.captured_off_ms is not None]
    p50_ms, p95_ms, p99_ms = (float(value) for value in np.percentile(found, [50, 95, 99], method="higher"))
    return Latency(len(ages), p50_ms, p95_ms, p99_ms, max(off, default=None))
