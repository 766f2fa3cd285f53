"""The detector service on the in-process bus, with models that do what their names say."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from detector.runtime.lanes import Lanes
from shared.domain import Capture, CaptureId, Effort, NotInspected, VerdictStatus
from shared.plan_keeper import PlanKeeper
from shared.wire import Encoding, FrameMessage, encode
from tests.detector_bench import (
    Bench,
    HeldModel,
    ModelInGrades,
    ModelInLanes,
    ModelThatFailsOnWhite,
    ModelThatForgetsOne,
    ModelWithHigherWhite,
    ModelWithoutMap,
    ModelWithoutNumberForWhite,
    SteadyModel,
    bench,
)
from tests.lines import CAMERA, LINE, eventually, line_settings, read_all


async def test_each_frame_gets_one_verdict() -> None:
    """Frames of two cameras, one answer each, with the model's ids and the time of every hop."""
    async with bench() as line:
        for number in range(10):
            await line.send(camera=("camera", "other")[number % 2])
        verdicts = await line.answers(10)
        assert len(verdicts) == 10
        for verdict in verdicts.values():
            assert verdict.status is VerdictStatus.INSPECTED
            assert (verdict.score, verdict.raw_score) == (0.5, 0.4)
            assert (verdict.model_id, verdict.calibration_id) == ("steady", "steady-1")
            assert verdict.stamps_ns.keys() == {"exposed", "received", "batched", "inferred"}
            assert verdict.size_px == (32, 24)
        assert max(line.model.batches) <= 4
        assert not line.overlays
        await line.stop()


async def test_a_detector_that_starts_before_its_broker_waits_for_it() -> None:
    """Its model is loaded by then: to end would cost parts the time of another start."""
    line = Bench(SteadyModel())
    await line.start(away=True)
    await line.until(lambda: line.bus.refused > 2)
    line.bus.away = False
    await line.clock.advance(0.5)
    sent = await line.send()
    assert (await line.answers(1))[sent.part_id].status is VerdictStatus.INSPECTED
    await line.stop()


async def test_suspicious_frames_carry_their_picture() -> None:
    """From the configured score on, the verdict comes once more, with a JPEG with the regions."""
    async with bench(SteadyModel(score=4.0)) as line:
        sent = await line.send()
        verdicts = await line.answers(1, drawn=1)
        assert verdicts[sent.part_id].regions[0].width_px == 32
        assert line.told_again == list(verdicts.values())
        picture = cv2.imdecode(np.frombuffer(line.overlays[sent.part_id], np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        assert picture.shape == (24, 32, 3)


async def test_a_picture_that_cannot_be_drawn_costs_no_verdict() -> None:
    """The part is inspected and its verdict goes out, without an overlay; so do those after it."""
    async with bench(ModelWithoutMap(score=4.0)) as line:
        for _ in range(3):
            await line.send()
        verdicts = await line.answers(3)
        assert {one.status for one in verdicts.values()} == {VerdictStatus.INSPECTED}
        await line.stop()
        assert not line.overlays


async def test_a_cut_picture_takes_no_neighbour_with_it() -> None:
    """A truncated JPEG is bad_image and a dead letter; the frames around it are inspected."""
    async with bench() as line:
        before = await line.send()
        cut = line.capture()
        message, payload = line.frame(cut)
        await line.put(encode(message, payload[:-10]), cut)
        after = await line.send()
        verdicts = await line.answers(3)
        assert verdicts[cut.part_id].reason is NotInspected.BAD_IMAGE
        assert verdicts[cut.part_id].score is None
        for good in (before, after):
            assert verdicts[good.part_id].status is VerdictStatus.INSPECTED
        (letter,) = await line.letters(1)
        assert "Premature end" in letter.error
        assert letter.place == "detector"


@pytest.mark.parametrize(
    ("encoding", "width_px", "height_px", "channels", "payload"),
    [
        (Encoding.RAW, -1, -1, 1, b"x"),
        (Encoding.RAW, 1 << 40, 1 << 40, 1, b""),
        (Encoding.RAW, 0, 24, 1, b""),
        (Encoding.JPEG, 32, 24, 2, b"\xff\xd8\xff\xd9"),
        (Encoding.PNG, 32, 24, 3, b"\x89PNG\r\n\x1a\n" + bytes(40)),
        (Encoding.JPEG, 32, 24, 3, b""),
    ],
)
async def test_a_senseless_frame_does_not_end_the_service(
    encoding: Encoding, width_px: int, height_px: int, channels: int, payload: bytes
) -> None:
    """Sizes and payloads that cannot be are bad images, whatever the decoder makes of them."""
    async with bench() as line:
        odd = line.capture()
        await line.put(encode(FrameMessage(odd, encoding, width_px, height_px, channels), payload), odd)
        good = await line.send()
        verdicts = await line.answers(2)
        assert verdicts[odd.part_id].reason is NotInspected.BAD_IMAGE
        assert verdicts[good.part_id].status is VerdictStatus.INSPECTED


async def test_random_bytes_with_headers_end_as_a_verdict() -> None:
    """The headers still say whose frame it was: its part gets NOT_INSPECTED/poison, and the bytes are kept."""
    async with bench() as line:
        capture = line.capture()
        await line.put(b"random bytes", capture)
        good = await line.send()
        verdicts = await line.answers(2)
        assert verdicts[capture.part_id].reason is NotInspected.POISON
        assert verdicts[capture.part_id].capture == capture
        assert verdicts[good.part_id].status is VerdictStatus.INSPECTED
        assert len(await line.letters(1)) == 1


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("ce_id", b"\xff\xfe"),),
        (("ce_id", b"a/b/c/d"), ("ce_subject", b"p"), ("ce_capturedatns", b"1"), ("ce_decidebyns", b"2")),
        (("ce_id", b"line-1/c/1/1"), ("ce_subject", b"p"), ("ce_capturedatns", b"9" * 60), ("ce_decidebyns", b"2")),
        (("ce_id", b"other/c/1/1"), ("ce_subject", b"p"), ("ce_capturedatns", b"1"), ("ce_decidebyns", b"2")),
    ],
)
async def test_random_bytes_without_usable_headers_are_only_buried(headers: tuple[tuple[str, bytes], ...]) -> None:
    """Nobody can say whose frame it was: it goes to the dead letters, and the next frame is inspected."""
    async with bench() as line:
        await line.memory.publish(line.topics.frames, b"random", key=None, partition=0, headers=headers)
        good = await line.send()
        assert (await line.answers(1)).keys() == {good.part_id}
        assert len(await line.letters(1)) == 1


async def test_a_frame_of_an_unknown_line_is_buried() -> None:
    """A frame of a line that the settings do not know gets no verdict, since nobody could publish it."""
    async with bench() as line:
        foreign = Capture(CaptureId("other", CAMERA, 1, 1), "p", 0, 0)
        await line.put(encode(*line.frame(foreign)), foreign)
        good = await line.send()
        assert (await line.answers(1)).keys() == {good.part_id}


async def test_a_line_that_is_added_while_a_replica_runs_is_served() -> None:
    """Its frames get verdicts on its own partition, without a restart."""
    async with bench() as line:
        wanted = line_settings(lines=2).wanted
        plan = await PlanKeeper(line.store, line.topics).grow(wanted)
        await line.bus.ensure_topics(plan.partitions(line.topics))
        await line.clock.advance(1.1)
        capture = replace(line.capture(), id=CaptureId("line-2", CAMERA, 1, 1))
        await line.put(encode(*line.frame(capture)), capture)
        assert (await line.answers(1))[capture.part_id].status is VerdictStatus.INSPECTED
        (answer,) = await read_all(line.memory, line.topics.verdicts)
        assert answer.partition == plan.of_line("line-2") == 1


async def test_an_expired_frame_is_answered_at_once() -> None:
    """A frame that cannot make its deadline is NOT_INSPECTED/expired, without costing the model any time."""
    async with bench() as line:
        late = line.capture()
        value = encode(*line.frame(late))
        await line.clock.advance(1.29)
        await line.put(value, late)
        verdicts = await line.answers(1)
        assert verdicts[late.part_id].reason is NotInspected.EXPIRED
        assert line.model.batches == []


async def test_lag_is_told_in_shares_of_the_deadline() -> None:
    """One frame answered after a quarter of its time, one that expired: Prometheus sees both, and why."""

    def counted(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(name, {"line": LINE, **labels}) or 0.0

    def figures() -> tuple[float, float, float, float]:
        return (
            counted("linewarden_deadline_used_ratio_bucket", le="0.3"),
            counted("linewarden_deadline_used_ratio_count"),
            counted("linewarden_verdicts_total", camera=CAMERA, reason=""),
            counted("linewarden_verdicts_total", camera=CAMERA, reason="expired"),
        )

    before = figures()
    async with bench() as line:
        for wait_s in (0.325, 1.29):
            capture = line.capture()
            value = encode(*line.frame(capture))
            await line.clock.advance(wait_s)
            await line.put(value, capture)
            await line.answers(1)
    assert [after - known for after, known in zip(figures(), before, strict=True)] == [1, 2, 1, 1]


@pytest.mark.parametrize("model", [ModelThatFailsOnWhite(), ModelWithoutNumberForWhite()])
async def test_a_picture_that_breaks_the_model_is_poison_alone(model: SteadyModel) -> None:
    """Whatever the model does on one picture, that one is poison and its neighbours in the batch are inspected."""
    async with bench(model, linger_ms=20) as line:
        before, white, after = await line.send(), await line.send(level=255), await line.send()
        await line.clock.advance(0.03)
        verdicts = await line.answers(3)
        assert verdicts[white.part_id].reason is NotInspected.POISON
        assert {verdicts[good.part_id].status for good in (before, after)} == {VerdictStatus.INSPECTED}
        assert len(await line.letters(1)) == 1


async def test_a_model_that_miscounts_inspects_nothing() -> None:
    """Answers that cannot be matched to their pictures are no answers."""
    async with bench(ModelThatForgetsOne()) as line:
        await line.send()
        await line.send()
        assert {verdict.reason for verdict in (await line.answers(2)).values()} == {NotInspected.POISON}


async def test_a_redelivered_frame_gets_the_same_verdict() -> None:
    """Killed after the verdict but before the commit: the next detector says the same again."""
    async with bench() as line:
        sent = await line.send()
        first = (await line.answers(1))[sent.part_id]
        await line.kill()
        await line.start()
        again = (await line.answers(1))[sent.part_id]
        assert (again.capture, again.status, again.score) == (first.capture, first.status, first.score)


async def test_nothing_is_committed_before_its_verdict_is_out() -> None:
    """While the model works, a kill loses nothing; once the verdict is on the bus, the frame is done for good."""
    model = HeldModel()
    async with bench(model) as line:
        sent = await line.send()
        await eventually(model.entered.is_set)
        await line.clock.advance(0.5)
        killing = asyncio.create_task(line.kill())
        # Until whoever waits for the model is gone, too: it could still say what it found.
        for _ in range(3):
            await asyncio.sleep(0)
        model.go.set()
        await killing
        await line.start()
        assert (await line.answers(1)).keys() == {sent.part_id}
        await line.clock.advance(0.5)
        await line.kill()
        await line.start()
        later = await line.send()
        assert (await line.answers(1)).keys() == {later.part_id}


async def test_idle_lanes_are_given_the_next_batch() -> None:
    """Two batches are under way, no larger together than one may be; the others wait, and none is lost at a stop."""
    model = ModelInLanes()
    async with bench(model) as line:
        await line.send()
        await eventually(model.entered.is_set)
        for _ in range(6):
            await line.send()
        await eventually(lambda: model.looking == 3)
        await line.clock.advance(0.1)
        assert model.looking == 3, "one, and then half of a batch of four"
        model.go.set()
        await line.stop()
        assert len(await line.answers(7)) == 7
        assert model.batches == [1] * 7


@pytest.mark.parametrize("lanes", [False, True])
async def test_no_verdict_waits_for_an_overlay(monkeypatch: pytest.MonkeyPatch, lanes: bool) -> None:
    """Neither the bad part's own nor that of the good one in the same batch; the picture follows."""
    drawn = threading.Event()

    def draw(*_arguments: object, **_options: object) -> bytes:
        assert drawn.wait(60)
        return b"overlay"

    monkeypatch.setattr("detector.answering.overlay_jpeg", draw)
    model = ModelWithHigherWhite()
    if lanes:
        model.lanes = Lanes(4)
    async with bench(model) as line:
        white, grey = await line.send(level=255), await line.send()
        assert (await line.answers(2)).keys() == {white.part_id, grey.part_id}
        drawn.set()
        await line.answers(0, drawn=1)
        assert line.overlays == {white.part_id: b"overlay"}


async def test_where_all_parts_are_bad_the_engine_waits_for_their_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many decoded pictures lie in memory; then it goes on, and each part gets its verdict and its picture."""
    drawn = threading.Event()

    def draw(*_arguments: object, **_options: object) -> bytes:
        assert drawn.wait(60)
        return b"overlay"

    monkeypatch.setattr("detector.answering.overlay_jpeg", draw)
    monkeypatch.setattr("detector.service._UNDRAWN", 2)
    model = SteadyModel(score=4.0)
    async with bench(model, max_batch=1) as line:
        for _ in range(2):
            await line.send()
        await line.answers(2)
        for _ in range(3):
            await line.send()
        await line.clock.advance(0.05)
        assert len(model.batches) == 2
        drawn.set()
        await line.answers(3, drawn=5)


async def test_pictures_of_verdicts_that_wait_for_the_bus_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """They lie in memory as those do that are drawn: the engine stops, and goes on with the bus."""
    monkeypatch.setattr("detector.service._UNDRAWN", 2)
    model = SteadyModel(score=4.0)
    async with bench(model, max_batch=1) as line:
        open_again, publish = asyncio.Event(), line.bus.publish

        async def held(topic: str, value: bytes, **how: Any) -> None:  # noqa: ANN401 - as the bus is asked
            await open_again.wait()
            await publish(topic, value, **how)

        monkeypatch.setattr(line.bus, "publish", held)
        for _ in range(6):
            await line.send()
        await line.until(lambda: len(model.batches) == 2)
        await line.clock.advance(0.3)
        assert len(model.batches) == 2
        open_again.set()
        await line.answers(6, drawn=6)


async def test_an_overlay_that_the_bus_does_not_take_is_told_and_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its verdict is out already, and the detector goes on."""
    overlays = [bytes(100 * 1024), b"overlay"]
    monkeypatch.setattr("detector.answering.overlay_jpeg", lambda *_arguments, **_options: overlays.pop(0))
    async with bench(SteadyModel(score=4.0), max_batch=1) as line:
        with capture_logs() as told:
            await line.send()
            await line.answers(1)
            await eventually(lambda: any(one["event"] == "overlay.failed" for one in told))
        sent = await line.send()
        await line.answers(1, drawn=1)
        assert line.overlays == {sent.part_id: b"overlay"}
        await line.stop()


async def test_verdicts_wait_for_a_bus_that_is_away() -> None:
    """A verdict that cannot be published is published later; nothing is inspected twice."""
    model = HeldModel()
    async with bench(model) as line:
        sent = await line.send()
        await eventually(model.entered.is_set)
        line.bus.away = True
        model.go.set()
        await eventually(lambda: bool(model.batches))
        await line.clock.advance(0.5)
        line.bus.away = False
        await line.clock.advance(0.5)
        assert (await line.answers(1)).keys() == {sent.part_id}
        assert model.batches == [1]


async def test_stopping_answers_what_came_before() -> None:
    """Frames that wait at the stop get their verdicts, and are committed."""
    model = HeldModel()
    async with bench(model) as line:
        for _ in range(9):
            await line.send()
        await eventually(model.entered.is_set)
        model.go.set()
        await line.stop()
        assert len(await line.answers(9)) == 9
        await line.start()
        after = await line.send()
        assert (await line.answers(1)).keys() == {after.part_id}


async def test_cameras_share_a_busy_engine() -> None:
    """A camera that floods the detector does not keep the other one waiting for more than a batch."""
    model = HeldModel()
    async with bench(model) as line:
        first = await line.send()
        await eventually(model.entered.is_set)
        for _ in range(20):
            await line.send()
        other = await line.send(camera="other")
        await line.clock.advance(0.1)
        model.go.set()
        verdicts = await line.answers(22)
        order = [verdict.capture.part_id for verdict in line.verdicts]
        assert len(verdicts) == 22
        assert order[0] == first.part_id
        assert order.index(other.part_id) <= 4


async def test_a_full_queue_pauses_intake() -> None:
    """Beyond its bytes the queue takes no more frames from the bus, until the engine took some."""
    model = HeldModel()
    async with bench(model, queue_mib=1) as line:
        for _ in range(100):
            capture = line.capture()
            raw = FrameMessage(capture, Encoding.RAW, 160, 120, 3)
            await line.put(encode(raw, bytes(160 * 120 * 3)), capture)
        await eventually(model.entered.is_set)
        await line.clock.advance(0.6)
        fits = 1024 * 1024 // 57_600
        assert fits <= line.bus.delivered <= fits + 3 * 4
        model.go.set()
        assert len(await line.answers(100)) == 100


async def test_under_load_less_of_the_model_looks_and_each_verdict_says_so() -> None:
    """A first frame that took a quarter of the deadline teaches that six more have no time for a full look."""
    model = ModelInGrades()
    async with bench(model, max_batch=1) as line:
        first = await line.send()
        await eventually(model.entered.is_set)
        for _ in range(6):
            await line.send()
        await line.clock.advance(0.3)
        model.go.set()
        verdicts = await line.answers(7)
        assert (verdicts[first.part_id].effort, verdicts[first.part_id].calibration_id) == (Effort.FULL, "steady-1")
        assert all(verdict.status is VerdictStatus.INSPECTED for verdict in line.verdicts)
        lesser = [verdict for verdict in line.verdicts if verdict.effort is not Effort.FULL]
        assert lesser
        for verdict in lesser:
            assert verdict.calibration_id == f"steady-{verdict.effort.value}"
            labels = {"effort": verdict.effort.value}
            assert REGISTRY.get_sample_value("linewarden_frames_inspected_total", labels)
