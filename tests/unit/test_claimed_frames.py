"""Frames that come to the detector by reference: fetched aside, several at a time, and answered whatever they were."""

from __future__ import annotations

import asyncio
import zlib
from collections import Counter
from dataclasses import dataclass, replace

import pytest
from prometheus_client import REGISTRY

from detector.fetch import AT_ONCE, FOR_ONE_CAMERA, FetchQueue
from shared.clock import NS_PER_S
from shared.domain import CaptureId, NotInspected, VerdictStatus
from shared.store.base import PayloadStore
from shared.wire import Encoding, FrameMessage, PayloadReference, encode
from tests.detector_bench import HeldModel, bench
from tests.lines import CAMERA, eventually


class StuckForOneCamera:
    """A store whose payloads of one camera come only once it is let go."""

    def __init__(self, store: PayloadStore, camera: str) -> None:
        self.go = asyncio.Event()
        self.asked: Counter[str] = Counter()
        self._store = store
        self._camera = camera

    async def put_payload(self, capture: CaptureId, payload: bytes, *, ttl_s: int) -> None:
        """Keep."""
        await self._store.put_payload(capture, payload, ttl_s=ttl_s)

    async def close(self) -> None:
        """Close."""
        await self._store.close()

    async def payload(self, capture: CaptureId) -> bytes | memoryview | None:
        """Wait, if it is that camera's, and return the payload."""
        self.asked[capture.camera] += 1
        if capture.camera == self._camera:
            await self.go.wait()
        return await self._store.payload(capture)


@dataclass(frozen=True)
class Claim:
    """A frame in the queue."""

    camera: str
    due_ns: int
    payload_bytes: int = 10


async def test_a_frame_by_reference_is_inspected_like_any_other() -> None:
    """Among frames that came whole, and its payload stays where it is."""
    async with bench() as line:
        sent = [await line.send(), await line.send_reference(), await line.send(), await line.send_reference()]
        verdicts = await line.answers(4)
        assert {verdict.status for verdict in verdicts.values()} == {VerdictStatus.INSPECTED}
        assert verdicts.keys() == {capture.part_id for capture in sent}
        assert await line.store.payload(sent[1].id) is not None
        await line.stop()


@pytest.mark.parametrize("changed", [False, True])
async def test_a_payload_that_is_gone_or_changed_is_a_bad_image(changed: bool) -> None:
    """Its part gets its verdict at once and the message is buried; the frames around it are inspected."""
    async with bench() as line:
        before = await line.send_reference()
        broken = await line.send_reference(keep=changed, changed=changed)
        after = await line.send()
        verdicts = await line.answers(3)
        assert verdicts[broken.part_id].reason is NotInspected.BAD_IMAGE
        assert {verdicts[good.part_id].status for good in (before, after)} == {VerdictStatus.INSPECTED}
        (letter,) = await line.letters(1)
        assert ("not the one that was sent" if changed else "not in the store") in letter.error


@pytest.mark.parametrize("size_bytes", [-1, 0, 1, 1 << 60])
async def test_a_reference_with_a_senseless_size_is_a_bad_image(size_bytes: int) -> None:
    """Whatever it says, the next frames go on."""
    async with bench() as line:
        odd = line.capture()
        message, payload = line.frame(odd)
        await line.store.put_payload(odd.id, payload, ttl_s=60)
        reference = PayloadReference(size_bytes, zlib.crc32(payload))
        await line.put(encode(replace(message, reference=reference)), odd)
        good = await line.send_reference()
        verdicts = await line.answers(2)
        assert verdicts[odd.part_id].reason is NotInspected.BAD_IMAGE
        assert verdicts[good.part_id].status is VerdictStatus.INSPECTED


async def test_a_store_that_is_away_is_asked_again_while_there_is_time() -> None:
    """Back within the frame's time nothing is lost; frames that came whole never wait for it."""
    async with bench() as line:
        line.store.away = True
        claimed, whole = await line.send_reference(keep=False), await line.send()
        assert (await line.answers(1)).keys() == {whole.part_id}
        await line.until(lambda: line.store.refused >= 3)
        line.store.away = False
        await line.store.put_payload(claimed.id, line.frame(claimed)[1], ttl_s=60)
        await line.clock.advance(0.2)
        assert (await line.answers(1))[claimed.part_id].status is VerdictStatus.INSPECTED


async def test_a_store_that_stays_away_makes_frames_expire() -> None:
    """More than are asked for at once: each is answered once its time is over, and none is a dead letter."""
    async with bench() as line:
        line.store.away = True
        sent = [await line.send_reference(keep=False) for _ in range(3 * FOR_ONE_CAMERA)]
        await line.clock.advance(1.3)
        verdicts = await line.answers(len(sent))
        assert {verdict.reason for verdict in verdicts.values()} == {NotInspected.EXPIRED}
        line.store.away = False
        assert (await line.send_reference()).part_id in await line.answers(1)
        await line.stop()


async def test_a_frame_whose_time_is_over_is_not_fetched() -> None:
    """It is answered without asking the store."""
    async with bench() as line:
        line.payloads = stuck = StuckForOneCamera(line.store, CAMERA)
        await line.kill()
        late = await line.send_reference()
        await line.clock.advance(1.3)
        await line.start()
        assert (await line.answers(1))[late.part_id].reason is NotInspected.EXPIRED
        assert not stuck.asked


async def test_payloads_that_come_slowly_keep_no_other_camera_waiting() -> None:
    """Nor the frames that need no fetching; of the slow camera a few are asked for at once, and answered in the end."""
    async with bench() as line:
        line.payloads = stuck = StuckForOneCamera(line.store, CAMERA)
        await line.kill()
        await line.start()
        slow = [await line.send_reference() for _ in range(2 * AT_ONCE)]
        quick = [await line.send_reference(camera="other") for _ in range(20)] + [await line.send()]
        assert (await line.answers(21)).keys() == {capture.part_id for capture in quick}
        assert stuck.asked[CAMERA] == FOR_ONE_CAMERA
        stuck.go.set()
        assert (await line.answers(len(slow))).keys() == {capture.part_id for capture in slow}
        assert REGISTRY.get_sample_value("linewarden_fetching_frames") == 0


async def test_stopping_waits_for_payloads_on_their_way() -> None:
    """What came before the stop is answered and committed, fetched or still to be fetched."""
    async with bench() as line:
        line.payloads = stuck = StuckForOneCamera(line.store, CAMERA)
        await line.kill()
        await line.start()
        sent = [await line.send_reference() for _ in range(3 * FOR_ONE_CAMERA)]
        await eventually(lambda: bool(stuck.asked))
        stopping = asyncio.create_task(line.stop())
        await line.clock.advance(0.2)
        assert not stopping.done()
        stuck.go.set()
        await stopping
        assert (await line.answers(len(sent))).keys() == {capture.part_id for capture in sent}
        await line.start()
        after = await line.send()
        assert (await line.answers(1)).keys() == {after.part_id}


async def test_a_kill_while_a_payload_is_on_its_way_loses_nothing() -> None:
    """The message comes again, and the payload is still there."""
    async with bench() as line:
        line.payloads = stuck = StuckForOneCamera(line.store, CAMERA)
        await line.kill()
        await line.start()
        sent = await line.send_reference()
        await eventually(lambda: bool(stuck.asked))
        await line.clock.advance(0.5)
        await line.kill()
        stuck.go.set()
        await line.start()
        assert (await line.answers(1))[sent.part_id].status is VerdictStatus.INSPECTED


async def test_fetched_payloads_count_in_the_queue() -> None:
    """While the engine is busy no more are fetched than the queue may hold, and one."""
    model = HeldModel()
    async with bench(model, queue_mib=1) as line:
        payload = bytes(300 * 400 * 3)
        reference = PayloadReference(len(payload), zlib.crc32(payload))
        line.payloads = counting = StuckForOneCamera(line.store, "nobody")
        await line.kill()
        await line.start()
        for _ in range(20):
            capture = line.capture()
            await line.store.put_payload(capture.id, payload, ttl_s=60)
            await line.put(encode(FrameMessage(capture, Encoding.RAW, 400, 300, 3, reference=reference)), capture)
        await line.until(model.entered.is_set)
        await line.clock.advance(0.3)
        fits = 1024 * 1024 // len(payload) + 1
        assert fits <= counting.asked.total() <= fits + 4
        model.go.set()
        assert len(await line.answers(20)) == 20


def test_cameras_take_turns() -> None:
    """The camera with the fewest under way is next, whoever queued first, up to a few of each and so many in all."""
    queue: FetchQueue[Claim] = FetchQueue(max_bytes=10_000)
    for number in range(50):
        queue.add(Claim("first", number))
    for number in range(50):
        queue.add(Claim(f"camera-{number}", 1_000 + number))
    started = queue.start(0)
    cameras = Counter(claim.camera for claim in started)
    assert (cameras["first"], len(cameras), len(started)) == (1, AT_ONCE, AT_ONCE)
    assert queue.start(0) == []
    assert len(queue) == 100
    queue.done(started[0])
    assert [claim.camera for claim in queue.start(0)] == ["first"]
    assert queue.bytes_under_way == 10 * AT_ONCE


def test_half_of_the_bytes_may_be_under_way() -> None:
    """A frame larger than that still goes, alone; none does while the engine has enough."""
    queue: FetchQueue[Claim] = FetchQueue(max_bytes=100)
    for number in range(8):
        queue.add(Claim(f"camera-{number}", number, payload_bytes=30))
    assert queue.start(100) == []
    assert queue.start(90) == [Claim("camera-0", 0, 30)]
    assert queue.start(0) == [Claim("camera-1", 1, 30)]
    assert queue.start(0) == []
    queue.done(Claim("camera-0", 0, 30))
    queue.done(Claim("camera-1", 1, 30))
    queue.add(Claim("huge", -1, payload_bytes=1_000))
    assert [claim.camera for claim in queue.start(0)] == ["huge"]


def test_claims_expire_where_they_wait() -> None:
    """Those that are due leave the queue, those under way stay."""
    queue: FetchQueue[Claim] = FetchQueue(max_bytes=100)
    queue.add(Claim("camera", 1))
    (under_way,) = queue.start(0)
    queue.add(Claim("camera", NS_PER_S))
    queue.add(Claim("other", 2 * NS_PER_S))
    assert queue.take_expired(NS_PER_S) == [Claim("camera", NS_PER_S)]
    assert len(queue) == 2
    queue.done(under_way)
    assert queue.start(0) == [Claim("other", 2 * NS_PER_S)]
