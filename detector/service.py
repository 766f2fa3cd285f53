"""The detector service: frames in, one verdict out for each, whatever the frame was like."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

from detector.answering import Answer, Answerer
from detector.batching import PUBLISH_MARGIN_NS, Batcher, CostModel
from detector.evidence.keeper import EvidenceKeeper
from detector.evidence.shelf import Held
from detector.fetch import FetchQueue, fetch
from detector.model.base import GradedModel
from detector.queued_frame import QueuedFrame
from detector.under_way import Batch, UnderWay
from shared import metrics
from shared.bus.base import Bus, Record
from shared.bus.intake import Intake, token_of
from shared.clock import NS_PER_MS, NS_PER_S, Clock, wait_event
from shared.domain import Effort, NotInspected, Verdict
from shared.envelope import capture_headers, capture_of
from shared.errors import ConfigError, LinewardenError, MessageTooLargeError, PictureError, WireError
from shared.log import get_logger
from shared.plan_keeper import KnownPlan
from shared.retry import insist
from shared.settings import Settings
from shared.store.base import PayloadStore
from shared.topics import part_key
from shared.wire import FrameMessage, VerdictMessage, decode, encode

_POLL_S: Final = 0.05
_FINISH_S: Final = 0.5
"""How long other replicas wait for the frames in hand here before partitions are shared anew."""
_POISONED: Final = 64
_UNDRAWN: Final = 32
"""So many decoded pictures may wait for their overlays; where all parts are bad, the engine waits for them."""
_SILENT_NS: Final = 10 * NS_PER_S
_MIB: Final = 1024 * 1024


class DetectorService:
    """Runs one model over the frames of the cameras that the bus assigns to this replica."""

    name = "detector"

    def __init__(
        self,
        settings: Settings,
        *,
        plan: KnownPlan,
        bus: Bus,
        payloads: PayloadStore,
        clock: Clock,
        model: GradedModel,
        keeper: EvidenceKeeper | None = None,
    ) -> None:
        """Serve `model`; without a `keeper` no evidence is kept."""
        detector = settings.detector
        self._settings = settings
        self._topics = settings.topics
        self._plan = plan
        self._bus = bus
        self._payloads = payloads
        self._clock = clock
        self._model = model
        self._answerer = Answerer(model, detector, clock)
        self._keeper = keeper
        cost = CostModel(model.efforts)
        self._under_way = UnderWay(lanes=model.lanes.count, max_batch=detector.max_batch, cost=cost)
        self._batcher: Batcher[QueuedFrame] = Batcher(
            max_batch=self._under_way.max_batch, linger_ns=round(detector.linger_ms * NS_PER_MS), cost=cost
        )
        self._fetches: FetchQueue[QueuedFrame] = FetchQueue(max_bytes=detector.queue_mib * _MIB)
        self._said = Effort.FULL
        self._silent_until_ns = 0
        self._arrived = asyncio.Event()
        self._intake_over = False
        self._pausing = False
        self._undrawn = 0
        self._poisoned = asyncio.Semaphore(_POISONED)
        self._log = get_logger("detector")

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set and what came before it is answered."""
        self._log.info("detector.started", model=self._model.model_id, calibration=self._model.calibration_id)
        subscription = await insist(
            lambda: self._bus.subscribe(
                [self._topics.frames], group=self._topics.group(self.name), member=self._settings.detector.member
            ),
            clock=self._clock,
            log=self._log,
            what="subscribe",
        )
        intake = Intake(
            subscription,
            bus=self._bus,
            clock=self._clock,
            log=self._log,
            dead_letters=self._topics.dead_letters,
            place=self.name,
            finish_s=_FINISH_S,
        )
        async with asyncio.TaskGroup() as beside:
            keeping = beside.create_task(self._keep_evidence())
            try:
                await self._serve(intake, stop)
            finally:
                await intake.close()
            # Others have the partitions by now: nobody waits for this.
            if self._keeper is not None:
                await self._keeper.finish()
            keeping.cancel()

    async def _serve(self, intake: Intake, stop: asyncio.Event) -> None:
        with ThreadPoolExecutor(self._under_way.most, thread_name_prefix="inference") as engine:
            async with asyncio.TaskGroup() as tasks:
                books = tasks.create_task(intake.keep_books())
                async with asyncio.TaskGroup() as answering:
                    answering.create_task(self._receive_all(intake, stop, answering))
                    await self._work(engine, intake, answering)
                await intake.finish()
                books.cancel()

    async def _receive_all(self, intake: Intake, stop: asyncio.Event, answering: asyncio.TaskGroup) -> None:
        while True:
            self._fetch_waiting(intake, answering)
            paused = self._full()
            records = await intake.poll(self._settings.detector.max_batch)
            for record in records:
                await self._receive(intake, record, answering)
            self._fetch_waiting(intake, answering)
            if records:
                self._arrived.set()
            elif stop.is_set() and not paused and not self._full():
                self._intake_over = True
                self._arrived.set()
                return

    async def _receive(self, intake: Intake, record: Record, answering: asyncio.TaskGroup) -> None:
        try:
            message, payload = decode(FrameMessage, record.value)
            await self._plan.of_line(message.capture.id.line)
        except (WireError, ConfigError) as error:
            # Good frames do not wait for the answers to bad ones, as long as those are few.
            await self._poisoned.acquire()
            answering.create_task(self._poison(intake, record, error))
            return
        now_ns, utc_ns = self._clock.monotonic_ns(), self._clock.utc_ns()
        left_ns = message.capture.decide_by_ns - utc_ns - PUBLISH_MARGIN_NS
        frame = QueuedFrame(record, message, payload, now_ns + left_ns, now_ns, utc_ns)
        if message.reference is None:
            self._batcher.add(frame)
        else:
            self._fetches.add(replace(frame, payload=memoryview(b"")))

    def _full(self) -> bool:
        """Say whether intake pauses: from the bound on, until a quarter of it is free again.

        What a consumer had fetched when it was paused comes a second time, which must not happen for every batch.
        """
        bound = self._settings.detector.queue_mib * _MIB
        held_bytes = self._batcher.held_bytes + self._fetches.bytes_under_way
        self._pausing = self._fetches.full or held_bytes >= (bound * 3 // 4 if self._pausing else bound)
        return self._pausing

    def _fetch_waiting(self, intake: Intake, answering: asyncio.TaskGroup) -> None:
        """Begin the fetches whose turn it is, answer the frames for which it is too late; take more in if they fit."""
        for frame in self._fetches.take_expired(self._clock.monotonic_ns()):
            self._expire(frame, intake, answering)
        for frame in self._fetches.start(self._batcher.held_bytes):
            answering.create_task(self._fetch(frame, intake, answering))
        metrics.FETCHING.set(len(self._fetches))
        intake.pause(full=self._full())

    async def _fetch(self, frame: QueuedFrame, intake: Intake, answering: asyncio.TaskGroup) -> None:
        """Bring a frame's payload and queue it for the engine, or answer a frame that has none."""
        try:
            payload = await fetch(self._payloads, frame.message, due_ns=frame.due_ns, clock=self._clock, log=self._log)
        except PictureError as error:
            refused = self._answerer.refused(frame, NotInspected.BAD_IMAGE, error)
            answering.create_task(self._answer(intake, frame, refused))
        else:
            if payload is None:
                self._expire(frame, intake, answering)
            else:
                self._batcher.add(replace(frame, payload=memoryview(payload), arrived_ns=self._clock.monotonic_ns()))
        finally:
            # In the same step in which it is queued: a stop must find it in one of both.
            self._fetches.done(frame)
        self._arrived.set()
        self._fetch_waiting(intake, answering)

    def _expire(self, frame: QueuedFrame, intake: Intake, answering: asyncio.TaskGroup) -> None:
        expired = Answer(self._answerer.not_inspected(frame.message.capture, NotInspected.EXPIRED))
        answering.create_task(self._answer(intake, frame, expired))

    async def _poison(self, intake: Intake, record: Record, error: LinewardenError) -> None:
        """Bury what is no frame; where its headers still say whose it was, its part gets a fail-safe verdict first."""
        try:
            capture = capture_of(record.headers)
            if capture is not None and capture.id.line in self._plan.plan.lines:
                await self._publish(self._answerer.not_inspected(capture, NotInspected.POISON))
            await intake.bury(record, str(error))
        finally:
            self._poisoned.release()

    async def _work(self, engine: ThreadPoolExecutor, intake: Intake, answering: asyncio.TaskGroup) -> None:
        while True:
            self._arrived.clear()
            metrics.QUEUE_FRAMES.set(len(self._batcher))
            metrics.QUEUE_BYTES.set(self._batcher.held_bytes)
            now_ns = self._clock.monotonic_ns()
            # While the engine is full, a frame is too late only if it is so already: when it is done is an estimate.
            full = self._under_way.full or self._undrawn >= _UNDRAWN
            for frame in self._batcher.take_expired(now_ns if full else self._under_way.free_ns(now_ns)):
                self._expire(frame, intake, answering)
            self._fetch_waiting(intake, answering)
            wait_ns = self._batcher.closes_in_ns(now_ns)
            if wait_ns is None and self._intake_over and not len(self._fetches):
                return
            if wait_ns == 0 and not full:
                self._begin(engine, intake, answering)
            else:
                # An engine that is done with a batch wakes this as a frame does that comes.
                timeout_s = _POLL_S if not wait_ns else min(_POLL_S, wait_ns / 1e9)
                await wait_event(self._clock, self._arrived, timeout_s)

    def _begin(self, engine: ThreadPoolExecutor, intake: Intake, answering: asyncio.TaskGroup) -> None:
        """Take the next batch, and give it to the engine."""
        now_ns = self._clock.monotonic_ns()
        free_ns = self._under_way.free_ns(now_ns)
        effort = self._batcher.effort(free_ns)
        frames = self._batcher.take(free_ns, effort)
        intake.pause(full=self._full())
        metrics.BATCH_SIZE.observe(len(frames))
        metrics.INSPECTED.labels(effort.value).inc(len(frames))
        self._say(effort, now_ns)
        batch = self._under_way.begin(len(frames), effort, now_ns)
        looking = asyncio.get_running_loop().run_in_executor(engine, self._answerer.answers, frames, effort)
        answering.create_task(self._infer(looking, batch, frames, intake, answering))

    async def _infer(
        self,
        looking: asyncio.Future[list[Answer]],
        batch: Batch,
        frames: list[QueuedFrame],
        intake: Intake,
        answering: asyncio.TaskGroup,
    ) -> None:
        answers = await looking
        self._under_way.end(batch, self._clock.monotonic_ns())
        # From here on: a verdict that waits for the bus holds its picture's pixels, too.
        self._undrawn += sum(answer.draw is not None for answer in answers)
        self._arrived.set()
        for frame, answer in zip(frames, answers, strict=True):
            answering.create_task(self._answer(intake, frame, answer))

    def _say(self, effort: Effort, now_ns: int) -> None:
        """Log where the model begins to look with less of itself, or with more, at most every ten seconds."""
        if effort is not self._said and now_ns >= self._silent_until_ns:
            self._log.warning("effort.changed", effort=effort.value, before=self._said.value)
            self._said, self._silent_until_ns = effort, now_ns + _SILENT_NS

    async def _answer(self, intake: Intake, frame: QueuedFrame, inspected: Answer) -> None:
        """Publish a frame's verdict, and then its overlay, beside the engine, which goes on with the next batch."""
        await self._publish(inspected.verdict)
        answer = await self._drawn(inspected)
        if answer.overlay:
            await self._publish_overlay(answer)
        self._offer(frame, answer)
        if answer.error:
            await intake.bury(frame.record, answer.error)
        else:
            intake.done([token_of(frame.record)])

    async def _drawn(self, answer: Answer) -> Answer:
        """Return an answer with its overlay, if one goes with it."""
        if answer.draw is None:
            return answer
        try:
            return await asyncio.to_thread(self._answerer.drawn, answer)
        finally:
            self._undrawn -= 1
            self._arrived.set()

    async def _keep_evidence(self) -> None:
        if self._keeper is not None:
            await self._keeper.run()

    def _offer(self, frame: QueuedFrame, answer: Answer) -> None:
        """Hold an answered frame as evidence, until its part is decided."""
        if self._keeper is not None:
            until_ns = self._keeper.until_ns(frame.message.capture.decide_by_ns)
            model = answer.model or self._model
            self._keeper.offer(
                Held(frame.message, frame.payload, answer.verdict, model, answer.found, answer.overlay, until_ns)
            )

    async def _publish(self, verdict: Verdict) -> None:
        await self._say_verdict(VerdictMessage(verdict), b"", "verdict")
        capture, reason = verdict.capture, verdict.reason
        metrics.VERDICTS.labels(capture.id.line, capture.id.camera, "" if reason is None else reason.value).inc()
        allowed_ns = max(1, capture.decide_by_ns - capture.captured_at_ns)
        used = (self._clock.utc_ns() - capture.captured_at_ns) / allowed_ns
        metrics.DEADLINE_USED.labels(capture.id.line).observe(used)

    async def _publish_overlay(self, answer: Answer) -> None:
        """Publish the overlay of a verdict that is out; one that the bus does not take is told and left out."""
        try:
            await self._say_verdict(VerdictMessage(answer.verdict, repeats=True), answer.overlay, "overlay")
        except MessageTooLargeError as error:
            self._log.warning("overlay.failed", capture=str(answer.verdict.capture.id), error=str(error))

    async def _say_verdict(self, message: VerdictMessage, overlay: bytes, what: str) -> None:
        capture = message.verdict.capture
        value = encode(message, overlay)
        await insist(
            lambda: self._bus.publish(
                self._topics.verdicts,
                value,
                key=part_key(capture.id.line, capture.part_id),
                partition=self._plan.plan.of_line(capture.id.line),
                headers=capture_headers(capture, "verdict"),
            ),
            clock=self._clock,
            log=self._log,
            what=what,
        )
