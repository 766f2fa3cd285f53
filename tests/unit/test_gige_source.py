from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from queue import SimpleQueue

import pytest
from pydantic import SecretStr

from ingest.sources.gige.camera import FeatureKind, RawFrame, RefusedError, Value
from ingest.sources.gige.gvcp import FoundCamera
from ingest.sources.gige.pulse import Pulse
from ingest.sources.gige.source import GigeSource
from ingest.sources.pixel_formats import FORMATS
from shared.camera_settings import CameraSettings, GigeSettings
from shared.clock import ManualClock
from shared.errors import ConfigError, SourceUnavailableError

FOUND = FoundCamera("Vendor", "Model", "S1", "", "10.0.0.2", "00:00:00:00:00:01", "10.0.0.1", reachable=True)


class ScriptedCamera:
    """A camera that gives what it is told to: frames, silence (None), or an error."""

    def __init__(self) -> None:
        self.script: SimpleQueue[RawFrame | Exception | None] = SimpleQueue()
        self.closed: list[bool] = []
        self.may_close = threading.Event()
        self.may_close.set()
        self.triggers = 0

    def has(self, name: str) -> bool:
        """Return whether it is the pixel format."""
        return name == "PixelFormat"

    def kind(self, name: str) -> FeatureKind:
        """Return a choice: it has one feature."""
        del name
        return FeatureKind.CHOICE

    def choices(self, name: str) -> Sequence[str]:
        """Of one."""
        return ("Mono8",) if name == "PixelFormat" else ()

    def bounds(self, name: str) -> tuple[float, float]:
        """Know no numbers."""
        raise AssertionError(name)

    def get(self, name: str) -> Value:
        """Return its format."""
        del name
        return "Mono8"

    def set(self, name: str, value: Value) -> None:
        """Take nothing."""
        raise RefusedError(f"{name} is {value}")

    def set_packet_size(self, size_bytes: int | None) -> int:
        """Take any."""
        return size_bytes or 1_500

    def start(self, *, buffers: int, resend: bool, chunks: Sequence[str]) -> None:
        """Begin the script."""

    def pop(self, timeout_ms: int) -> RawFrame | None:
        """Give the script's next, or nothing while there is none."""
        if self.script.empty():
            threading.Event().wait(timeout_ms / 10_000)
            return None
        item = self.script.get()
        if isinstance(item, Exception):
            raise item
        return item

    def trigger(self) -> None:
        """Give one frame."""
        self.triggers += 1
        self.script.put(frame(self.triggers))

    def in_control(self) -> bool:
        """Be ours."""
        return True

    def statistics(self) -> Mapping[str, int]:
        """Tell of one packet."""
        return {"packets_missing": 1}

    def close(self, *, alive: bool) -> None:
        """Remember how it was closed, once it may."""
        self.may_close.wait()
        self.closed.append(alive)


class SteadyPulse:
    """A pulse that goes on until the camera is told to be gone."""

    def __init__(self) -> None:
        self.unanswered_since_ns: int | None = None
        self.refused = False
        self.controlled = True
        self.closed = False

    def poll(self, now_ns: int) -> None:
        """Stay the same."""

    def close(self) -> None:
        """Remember it."""
        self.closed = True


def frame(frame_id: int) -> RawFrame:
    """Return a whole frame of 4x2 pixels."""
    return RawFrame(frame_id, None, None, 5, FORMATS["Mono8"].code, 4, 2, 0, bytes(8))


def source_of(
    camera: ScriptedCamera,
    *,
    pulse: Pulse | None = None,
    find: Callable[[str, Sequence[str] | None], FoundCamera] = lambda _selector, _interfaces: FOUND,
    limit: int | None = None,
    **features: object,
) -> GigeSource:
    """Return a source of the camera."""
    settings = CameraSettings(
        source=SecretStr("gige://S1"), limit=limit, gige=GigeSettings.model_validate(features), stall_ms=1_500
    )
    beat = pulse or SteadyPulse()
    return GigeSource(settings, ManualClock(), lambda *_: camera, None, find, lambda *_: beat)


async def test_frames_become_shots_and_close_leaves_control() -> None:
    """Frames are read in order with their gaps, counts add up over openings, and each close leaves control."""
    camera = ScriptedCamera()
    source = source_of(camera)
    for _ in range(2):
        await source.open()
        for frame_id in (1, 3):
            camera.script.put(frame(frame_id))
        triggers = [shot.trigger for shot in [await source.read() for _ in range(3)] if shot is not None]
        assert triggers == [1, 2, 3]
        await source.close()
    assert camera.closed == [True, True]
    assert source.counts["frames_missing"] == 2
    assert source.counts["packets_missing"] == 2
    await source.close()


async def test_a_lost_camera_is_told_before_it_is_let_go() -> None:
    """The loss is raised, and `close` returns, while Aravis still waits for the camera; its stop is not tried."""
    camera, pulse = ScriptedCamera(), SteadyPulse()
    camera.may_close.clear()
    source = source_of(camera, pulse=pulse)
    await source.open()
    pulse.refused = True
    with pytest.raises(SourceUnavailableError, match=r"S1 at 10\.0\.0\.2 is gone"):
        await source.read()
    await source.close()
    assert camera.closed == []
    camera.may_close.set()
    for thread in threading.enumerate():
        if thread.name == "gige":
            await asyncio.to_thread(thread.join)
    assert camera.closed == [False]
    assert pulse.closed


async def test_a_refused_feature_leaves_control_before_it_is_told() -> None:
    """When `open` raises, the camera is free already."""
    camera = ScriptedCamera()
    with pytest.raises(ConfigError, match="no feature 'Gamma'"):
        await source_of(camera, features={"Gamma": 1}).open()
    assert camera.closed == [True]


async def test_a_cancelled_open_leaves_control() -> None:
    """When `open` is cancelled while the camera is looked for, it is let go of as soon as it was found."""
    camera = ScriptedCamera()
    found = threading.Event()

    def find(selector: str, interfaces: Sequence[str] | None) -> FoundCamera:
        del interfaces
        assert selector == "S1"
        found.wait()
        return FOUND

    source = source_of(camera, find=find)
    opening = asyncio.create_task(source.open())
    await asyncio.sleep(0)
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    assert opening.cancelled()
    found.set()
    await source.close()
    assert camera.closed == [True]


async def test_a_camera_that_is_not_found_is_told() -> None:
    """What the search says is raised by `open`, and a later `open` tries again."""
    camera = ScriptedCamera()
    answers: list[FoundCamera] = []

    def find(selector: str, interfaces: Sequence[str] | None) -> FoundCamera:
        del interfaces
        if not answers:
            raise SourceUnavailableError(f"no camera {selector}")
        return answers[0]

    source = source_of(camera, find=find)
    with pytest.raises(SourceUnavailableError, match="no camera S1"):
        await source.open()
    answers.append(FOUND)
    await source.open()
    camera.script.put(frame(1))
    assert await source.read() is not None
    await source.close()


async def test_a_bug_in_the_thread_is_not_swallowed() -> None:
    """An error that nobody expects ends the thread, leaves control, and is raised by `read`."""
    camera = ScriptedCamera()
    source = source_of(camera)
    await source.open()
    camera.script.put(ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError):
        await source.read()
    await source.close()
    assert camera.closed == [True]


async def test_the_limit_ends_it() -> None:
    """After `limit` exposures the source is over."""
    camera = ScriptedCamera()
    source = source_of(camera, limit=1)
    await source.open()
    camera.script.put(frame(1))
    assert await source.read() is not None
    assert await source.read() is None
    await source.close()


async def test_free_run_takes_no_trigger() -> None:
    """`trigger` says what to set when the camera is not triggered by software."""
    with pytest.raises(ConfigError, match='Set trigger = "software"'):
        await source_of(ScriptedCamera()).trigger()
