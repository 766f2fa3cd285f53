"""The ingest service on the in-process bus, with cameras that do what their names say."""

from __future__ import annotations

import re
import zlib

import numpy as np
import pytest
from structlog.testing import capture_logs

from detector.decode import decode_frame
from ingest.outbox import TOO_MANY
from ingest.sources.base import Shot
from shared.clock import NS_PER_MS
from shared.errors import ConfigError, SourceUnavailableError
from shared.wire import Encoding, FrameMessage, PayloadReference, decode
from tests.halls import PIXELS, BlindEye, EndlessReel, Hall, Reel, encoded, innermost, limited, shots, with_bus
from tests.lines import CAMERA, GATE_DELAY_MS, T0_NS, eventually, read_all


async def test_each_exposure_is_announced_before_its_frame() -> None:
    """Announcement first, then pixels; the photo-eye before both, with the time at the gate."""
    hall = Hall()
    hall.sources[CAMERA] = Reel(hall.clock, shots(5))
    await hall.play()
    announced = await hall.announced()
    assert len(announced) == 5
    assert len(hall.bus.order) == 10
    for part in announced:
        assert hall.bus.order.index(("captures", part.part_id)) < hall.bus.order.index(("frames", part.part_id))
        assert part.decide_by_ns == part.captured_at_ns + 1_300 * NS_PER_MS
        assert (part.part_id, part.captured_at_ns + GATE_DELAY_MS * NS_PER_MS) in hall.seen
    frames = await hall.frames()
    assert frames.keys() == {part.part_id for part in announced}
    assert all(np.abs(pixels.astype(int) - PIXELS).max() < 8 for pixels in frames.values())
    assert hall.sources[CAMERA].closed == 1


async def test_a_fast_camera_spreads_its_frames_over_its_partitions() -> None:
    """In turn, so that several replicas share them; its parts stay on their line's one partition."""
    hall = Hall(partitions=3)
    hall.sources[CAMERA] = Reel(hall.clock, shots(6))
    await hall.play()
    frames = await read_all(hall.bus, hall.settings.topics.frames)
    assert sorted(record.partition for record in frames) == [0, 0, 1, 1, 2, 2]
    assert {record.partition for record in await read_all(hall.bus, hall.settings.topics.captures)} == {0}


async def test_frames_keep_the_order_of_their_colours() -> None:
    """Red stays red from the source to the detector, and grey stays grey."""
    hall = Hall()
    grey = np.full((24, 32), 77, dtype=np.uint8)
    hall.sources[CAMERA] = Reel(hall.clock, [Shot(PIXELS, 0), Shot(grey, 0)])
    await hall.play()
    colour, mono = (pixels for _, pixels in sorted((await hall.frames()).items()))
    assert colour[0, 0, 0] > 190
    assert colour[0, 0, 2] < 60
    assert mono.shape == (24, 32)


async def test_an_exposure_without_a_picture_is_announced() -> None:
    """The part exists, whatever became of its picture: without a verdict the gate defaults."""
    hall = Hall()
    broken = np.zeros((0, 32, 3), dtype=np.uint8)
    hall.sources[CAMERA] = Reel(hall.clock, [*shots(1, None), Shot(broken, 0, None, "good"), *shots(1)])
    await hall.play()
    assert [part.label for part in await hall.announced()] == [None, "good", None]
    assert len(await hall.frames()) == 1


async def test_a_lost_camera_is_opened_again_and_others_go_on() -> None:
    """With pauses that double up to five seconds, and start over after a picture; the sequence goes on."""
    hall = Hall("left", "right")
    refused = [ConnectionRefusedError() for _ in range(5)]
    hall.sources["left"] = Reel(
        hall.clock,
        [*[Shot(PIXELS, 0, n) for n in (1, 2)], SourceUnavailableError("lost"), *refused, Shot(PIXELS, 0, 3)],
        numbers_parts=True,
    )
    hall.sources["right"] = Reel(hall.clock, [Shot(PIXELS, 0, n) for n in range(1, 100)], numbers_parts=True)
    await hall.start()
    await hall.clock.advance(1.5)
    assert len({part.part_id for part in await hall.announced()}) == 99
    await hall.clock.advance(20)
    await hall.ended()
    pauses = np.diff(hall.sources["left"].opened)
    assert pauses.tolist() == [530, 1_000, 2_000, 4_000, 5_000, 5_000]


async def test_all_cameras_away_at_the_start_is_an_error() -> None:
    """A wrong address should not look like a quiet line; a camera away beside one that answers is waited for."""
    hall = Hall()
    hall.sources[CAMERA] = Reel(hall.clock, [ConnectionRefusedError()])
    await hall.start()
    assert hall.serving is not None
    await hall.clock.advance(0.1)
    assert isinstance(innermost(hall.serving.exception()), SourceUnavailableError)
    half = Hall("left", "right")
    half.sources["left"] = Reel(half.clock, [ConnectionRefusedError(), Shot(None, 0, 1)], numbers_parts=True)
    half.sources["right"] = Reel(half.clock, [Shot(None, 0, 1)], numbers_parts=True)
    await half.play(2)
    assert len(await half.announced()) == 2


async def test_a_blind_photo_eye_stops_nothing() -> None:
    """The PLC may be away: parts are announced and inspected all the same."""
    hall = Hall()
    hall.eye = eye = BlindEye()
    hall.sources[CAMERA] = Reel(hall.clock, shots(3))
    await hall.play()
    assert len(await hall.announced()) == len(await hall.frames()) == 3
    assert eye.closed


async def test_cameras_without_part_numbers_cannot_share_a_line() -> None:
    """Nothing would say which of their pictures show the same part."""
    hall = Hall("left", "right")
    hall.sources = {name: Reel(hall.clock, shots(1)) for name in ("left", "right")}
    with pytest.raises(ConfigError, match="gives no part numbers"):
        await hall.play()


async def test_cameras_with_part_numbers_see_the_same_parts() -> None:
    """Both name the part alike, both announcements name both cameras, and the PLC is told once."""
    hall = Hall("left", "right")
    for name in ("left", "right"):
        hall.sources[name] = Reel(hall.clock, [Shot(PIXELS, 0, n) for n in (1, 2)], numbers_parts=True)
    await hall.play()
    announced = await hall.announced()
    assert {part.cameras for part in announced} == {("left", "right")}
    assert len(announced) == 4
    assert len({part.part_id for part in announced}) == len(hall.seen) == 2


async def test_a_frame_too_late_for_its_gate_is_dropped_but_announced() -> None:
    """Nobody could use it; the part is settled by default."""
    hall = Hall()
    hall.sources[CAMERA] = Reel(hall.clock, [Shot(PIXELS, T0_NS - 2_000 * NS_PER_MS), *shots(1)])
    await hall.play()
    assert len(await hall.announced()) == 2
    assert len(await hall.frames()) == 1


async def test_a_camera_that_runs_wild_sends_no_more_than_its_rate() -> None:
    """A shot each 10 ms where 25 a second are allowed: every part is announced, and what goes out is counted."""
    hall = Hall()
    hall.settings = limited(hall.settings, max_rate_hz=25)
    hall.sources[CAMERA] = Reel(hall.clock, shots(100))
    with capture_logs() as logged:
        await hall.play(1.1)
    assert len(await hall.announced()) == 100
    assert 25 <= len(await hall.frames()) <= 27
    (ended,) = [entry for entry in logged if entry["event"] == "camera.ended"]
    assert ended["dropped"] == {TOO_MANY: 100 - len(await hall.frames())}
    assert len([entry for entry in logged if entry["event"] == "frame.refused"]) == 1


async def test_frames_that_no_message_can_hold_are_an_error_at_the_start() -> None:
    """Not a part by default for each of them, and it says which camera and what to set."""
    hall = Hall(encoding=Encoding.PNG)
    hall.sources[CAMERA] = Reel(hall.clock, shots(3, np.zeros((2_048, 2_448, 3), dtype=np.uint8)))
    await hall.start()
    assert hall.serving is not None
    await hall.clock.advance(0.1)
    await eventually(hall.serving.done)
    error = innermost(hall.serving.exception())
    assert isinstance(error, ConfigError)
    assert re.search(rf"'{CAMERA}'.* 2448x2048 in png .*bus\.max_message_bytes", str(error))
    assert hall.sources[CAMERA].closed == 1


async def test_frames_that_go_by_reference_may_be_larger_than_a_message() -> None:
    """Nothing but the reference travels; frames of fewer bytes travel whole, as before."""
    hall = Hall(encoding=Encoding.RAW)
    hall.settings = with_bus(hall.settings, claim_check_kib=64, max_message_bytes=128 * 1024)
    large = np.random.default_rng(1).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    hall.sources[CAMERA] = Reel(hall.clock, [*shots(1, large), *shots(1)])
    await hall.play()
    records = await read_all(hall.bus, hall.settings.topics.frames)
    messages = [decode(FrameMessage, record.value) for record in records]
    (by_reference,) = [(message, payload) for message, payload in messages if message.reference is not None]
    (whole,) = [(message, payload) for message, payload in messages if message.reference is None]
    assert np.array_equal(decode_frame(*whole), PIXELS)
    message, payload = by_reference
    kept = await hall.store.payload(message.capture.id)
    assert kept == large.tobytes()
    assert message.reference == PayloadReference(len(kept), zlib.crc32(kept))
    assert len(payload) == 0
    assert len(await hall.announced()) == 2


async def test_a_frame_that_its_spool_cannot_hold_is_an_error_at_the_start() -> None:
    """It would be dropped each time, and nobody would know why."""
    hall = Hall()
    ingest = hall.settings.ingest.model_copy(update={"spool_mib": 1})
    hall.settings = hall.settings.model_copy(update={"ingest": ingest})
    hall.sources[CAMERA] = Reel(hall.clock, shots(3, np.zeros((600, 600, 3), dtype=np.uint8)))
    await hall.start()
    assert hall.serving is not None
    await hall.clock.advance(0.1)
    await eventually(hall.serving.done)
    assert re.search(r"one frame takes 1080000 bytes.*spool_mib", str(innermost(hall.serving.exception())))


async def test_a_bus_that_is_away_loses_no_part() -> None:
    """Each part is announced once the bus is back, and the frames follow that can still make their gate."""
    hall = Hall()
    raw = hall.loads(300)
    await hall.start()
    hall.bus.away = True
    await hall.clock.advance(3.2)
    await encoded(raw)
    hall.bus.away = False
    back_ns = hall.clock.utc_ns()
    await hall.clock.advance(1, settle=500)
    await hall.ended()
    announced = await hall.announced()
    assert len({part.part_id for part in announced}) == len(announced) == 300
    sent = await hall.frames()
    assert 0 < len(sent) < 300
    assert {part.part_id for part in announced if part.decide_by_ns > back_ns + 500 * NS_PER_MS} <= set(sent)
    assert set(sent) <= {part.part_id for part in announced if part.decide_by_ns > back_ns}


async def test_pictures_that_wait_are_held_encoded() -> None:
    """While the bus is away no raw pixels stay behind."""
    hall = Hall()
    raw = hall.loads(100)
    await hall.start()
    hall.bus.away = True
    await hall.clock.advance(2)
    await encoded(raw)
    hall.bus.away = False
    await hall.clock.advance(1)
    await hall.ended()


@pytest.mark.parametrize("kind", [Reel, EndlessReel])
async def test_a_stop_ends_every_camera(kind: type[Reel]) -> None:
    """Even one that never runs out and never waits; what was exposed is still announced, and the camera is closed."""
    hall = Hall()
    hall.sources[CAMERA] = kind(hall.clock, shots(1_000))
    await hall.start()
    await hall.clock.advance(0.015)
    hall.stop.set()
    await hall.clock.advance(0.05)
    await hall.ended()
    assert hall.sources[CAMERA].closed == 1
    assert await hall.announced()
