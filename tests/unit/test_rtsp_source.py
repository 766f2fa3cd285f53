"""A live source against cameras that freeze, fail, end and run away, by a clock that the tests turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from ingest.sources.base import Fault, TimeSource
from ingest.sources.video.decoded import Decoded, Pictures
from ingest.sources.video.rtsp import RtspSource, live_options
from shared.camera_settings import RtspSettings
from shared.clock import ManualClock
from shared.errors import LossCause, SourceUnavailableError
from tests.prompted_camera import UTC_NS, PromptedCamera, picture, prompted_camera


def make_source(
    clock: ManualClock, connect: Callable[[], Pictures], *, limit: int | None = None, slate: bool = False
) -> RtspSource:
    """Return a source with the default settings and a password in its address."""
    return RtspSource(
        "rtsp://operator:hunter2@camera-1/line",
        settings=RtspSettings(),
        limit=limit,
        slate=slate,
        stall_ms=1_500,
        trusts="auto",
        clock=clock,
        connect=connect,
    )


async def close(source: RtspSource, *cameras: PromptedCamera) -> None:
    """Close a source whose cameras answer no more, so that no time has to pass."""
    for camera in cameras:
        camera.end()
    await source.close()


async def loss_after(clock: ManualClock, source: RtspSource, seconds: float) -> SourceUnavailableError:
    """Return the loss that a waiting read tells once so much time has passed."""
    reading = asyncio.ensure_future(source.read())
    await clock.advance(seconds)
    with pytest.raises(SourceUnavailableError) as loss:
        await reading
    return loss.value


async def test_a_camera_that_freezes_is_stalled_after_its_stall_time() -> None:
    """Silence of `stall_ms` by the clock is a loss as STALLED, though the camera's thread still hangs."""
    clock = ManualClock()
    with prompted_camera() as camera:
        source = make_source(clock, lambda: camera)
        await source.open()
        camera.show(picture(7))
        shot = await source.read()
        assert shot is not None
        assert shot.captured_at_ns == UTC_NS + 7_000_000
        assert shot.time_source is TimeSource.RECEIPT
        reading = asyncio.ensure_future(source.read())
        await clock.advance(1.4)
        assert not reading.done()
        await clock.advance(0.1)
        with pytest.raises(SourceUnavailableError, match=r"gave no picture") as loss:
            await reading
        assert loss.value.cause is LossCause.STALLED
        await source.close()


async def test_a_camera_that_never_opens_is_stalled() -> None:
    """A connection that hangs is given up after `open_ms`, and a camera with three of them gets no fourth."""
    clock = ManualClock()
    with prompted_camera() as hanging:

        def hang() -> Pictures:
            list(hanging)
            raise AssertionError("nobody asks any more")

        source = make_source(clock, hang)
        for _ in range(3):
            opening = asyncio.ensure_future(source.open())
            await clock.advance(1.8)
            with pytest.raises(SourceUnavailableError, match=r"did not open within 1\.8 s") as loss:
                await opening
            assert loss.value.cause is LossCause.STALLED
        with pytest.raises(SourceUnavailableError, match="3 earlier connections that hang"):
            await source.open()
        await source.close()
        hanging.end()
        hanging.end()


async def test_a_stream_that_ends_is_lost() -> None:
    """What was shown before the end is read, then the loss is told with the cause ENDED."""
    clock = ManualClock()
    with prompted_camera() as camera:
        source = make_source(clock, lambda: camera)
        await source.open()
        camera.show(picture(1), picture(2))
        camera.end()
        assert await source.read() is not None
        assert await source.read() is not None
        with pytest.raises(SourceUnavailableError, match="ended its stream") as loss:
            await source.read()
        assert loss.value.cause is LossCause.ENDED
        await source.close()
        assert camera.closed


async def test_a_refused_login_is_told_without_it() -> None:
    """The cause of a refusal reaches whoever opens, and the password reaches nobody."""

    def refuse() -> Pictures:
        raise SourceUnavailableError("camera refuses the login", cause=LossCause.LOGIN)

    source = make_source(ManualClock(), refuse)
    with capture_logs() as logs, pytest.raises(SourceUnavailableError) as loss:
        await source.open()
    assert loss.value.cause is LossCause.LOGIN
    assert "hunter2" not in f"{logs}{loss.value!r}{loss.value.__cause__!r}"
    await source.close()
    await source.close()


async def test_an_error_of_ours_is_not_taken_for_a_lost_camera() -> None:
    """What is no source's error is raised as it is."""
    with prompted_camera() as camera:
        source = make_source(ManualClock(), lambda: camera)
        await source.open()
        camera.fail(ZeroDivisionError("a bug"))
        with pytest.raises(ZeroDivisionError):
            await source.read()
        await source.close()


async def test_a_slow_reader_gets_the_newest_pictures_and_hears_of_the_others() -> None:
    """Of twenty exposures that waited the newest sixteen keep their pictures, and all are told in order."""
    clock = ManualClock()
    with prompted_camera() as camera:
        source = make_source(clock, lambda: camera)
        await source.open()
        camera.show(*(picture(level) for level in range(1, 21)))
        await asyncio.to_thread(camera.wait_until_read)
        shots = [await source.read() for _ in range(20)]
        assert [shot.captured_at_ns - UTC_NS for shot in shots if shot] == [ms * 1_000_000 for ms in range(1, 21)]
        assert [shot.fault for shot in shots if shot] == [Fault.OVERRUN] * 4 + [None] * 16
        assert source.counts["overrun"] == 4
        await close(source, camera)


async def test_a_camera_is_opened_again_after_a_loss() -> None:
    """A new session shows its pictures, and what the hanging one of before shows then reaches nobody."""
    clock = ManualClock()
    with prompted_camera() as before, prompted_camera() as after:
        cameras = iter((before, after))
        source = make_source(clock, lambda: next(cameras))
        await source.open()
        assert (await loss_after(clock, source, 1.5)).cause is LossCause.STALLED
        await source.open()
        before.show(picture(1))
        await asyncio.to_thread(before.wait_until_read)
        after.show(picture(2))
        shot = await source.read()
        assert shot is not None
        assert shot.captured_at_ns == UTC_NS + 2_000_000
        await close(source, after)


@pytest.mark.parametrize("again", [False, True], ids=["in mid-stream", "on reconnecting"])
async def test_another_picture_is_told(again: bool) -> None:
    """Another size or codec goes on, and is logged with old and new and counted."""
    clock = ManualClock()
    with prompted_camera() as first, prompted_camera() as second, capture_logs() as logs:
        cameras = iter((first, second))
        source = make_source(clock, lambda: next(cameras))
        await source.open()
        first.show(picture(1))
        assert await source.read() is not None
        if again:
            first.end()
            with pytest.raises(SourceUnavailableError):
                await source.read()
            await source.open()
        (second if again else first).show(picture(2, width_px=128, codec="hevc"))
        shot = await source.read()
        assert shot is not None
        assert shot.pixels is not None
        assert shot.pixels.shape == (32, 128, 3)
        await close(source, first, second)
    changes = [(entry["old"], entry["new"]) for entry in logs if entry["event"] == "picture.changed"]
    assert changes == [("h264 64x32", "hevc 128x32")]
    assert source.counts["picture_changed"] == 1


async def test_an_undecodable_picture_is_an_exposure() -> None:
    """A picture that cannot be decoded is told as unreadable, by the camera's time where that is known."""
    clock = ManualClock(UTC_NS)
    with prompted_camera() as camera:
        source = make_source(clock, lambda: camera)
        await source.open()
        camera.show(Decoded(None, None, UTC_NS, UTC_NS - 40_000_000))
        shot = await source.read()
        assert shot is not None
        assert (shot.pixels, shot.fault) == (None, Fault.UNREADABLE)
        assert (shot.captured_at_ns, shot.time_source) == (UTC_NS - 40_000_000, TimeSource.CAMERA)
        await close(source, camera)


async def test_one_frozen_camera_leaves_another_alone() -> None:
    """While one camera's thread hangs, the other's pictures come."""
    clock = ManualClock()
    with prompted_camera() as frozen, prompted_camera() as well:
        sources = [make_source(clock, lambda: frozen), make_source(clock, lambda: well)]
        for source in sources:
            await source.open()
        hanging = asyncio.ensure_future(sources[0].read())
        for level in range(5):
            well.show(picture(level))
            assert await sources[1].read() is not None
        assert not hanging.done()
        hanging.cancel()
        for source in sources:
            await close(source, frozen, well)


async def test_a_cancelled_read_loses_nothing() -> None:
    """A picture that comes while nobody reads waits for the next read."""
    clock = ManualClock()
    with prompted_camera() as camera:
        source = make_source(clock, lambda: camera)
        await source.open()
        reading = asyncio.ensure_future(source.read())
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        camera.show(picture(1), picture(2))
        first, second = await source.read(), await source.read()
        assert first is not None
        assert second is not None
        assert first.captured_at_ns < second.captured_at_ns
        await close(source, camera)


def test_a_secure_camera_has_to_show_its_certificate() -> None:
    """Without other settings FFmpeg verifies a certificate, which it does not by itself."""
    assert live_options(RtspSettings(), secure=True, stall_s=1.5)["tls_verify"] == "1"
    assert live_options(RtspSettings(verify_certificate=False), secure=True, stall_s=1.5)["tls_verify"] == "0"
    assert "tls_verify" not in live_options(RtspSettings(), secure=False, stall_s=1.5)


def test_udp_waits_for_packets_that_overtook_each_other() -> None:
    """Over UDP FFmpeg may hold packets back to order them; over TCP it must not."""
    assert live_options(RtspSettings(), secure=False, stall_s=1.5)["max_delay"] == "0"
    assert live_options(RtspSettings(transport="udp"), secure=False, stall_s=1.5)["max_delay"] == "100000"


def test_the_prompted_camera_is_a_stream() -> None:
    """The fake has what a session must have."""
    stream: Pictures = PromptedCamera()
    stream.close()
