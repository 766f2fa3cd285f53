"""A detector service on the in-process bus, and models that do what their names say."""

from __future__ import annotations

import asyncio
import threading
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from detector.evidence.keeper import EvidenceKeeper
from detector.model.base import Inspection
from detector.runtime.lanes import Lanes
from detector.service import DetectorService
from ingest.encode import encode_pixels
from shared.bus.base import Subscription
from shared.bus.memory import MemoryBus, MemoryBusLimits
from shared.clock import ManualClock
from shared.domain import AnomalyMap, Capture, CaptureId, Effort, Picture, Region, Verdict
from shared.envelope import capture_headers
from shared.plan_keeper import KnownPlan, PlanKeeper
from shared.store.base import PayloadStore
from shared.wire import DeadLetter, Encoding, FrameMessage, PayloadReference, VerdictMessage, decode, encode
from tests.lines import CAMERA, LINE, decide_by, eventually, line_settings, read_all, topics_for
from tests.outages import CuttableBus, CuttableStore

GREY_LEVEL = 100
Pixels = NDArray[np.uint8]


class SteadyModel:
    """Gives every picture the same score, and counts the batches."""

    model_id = "steady"
    calibration_id = "steady-1"
    profile = "fake"
    region_level = 0.5
    efforts: tuple[Effort, ...] = (Effort.FULL,)
    lanes = Lanes()

    def __init__(self, score: float = 0.5) -> None:
        self.score = score
        self.batches: list[int] = []

    def at(self, effort: Effort) -> SteadyModel:
        """Look with all of it."""
        assert effort in self.efforts
        return self

    def raw_at(self, score: float) -> float | None:
        """Say that a raw score is a tenth of the calibrated one."""
        return score / 10

    def inspect(self, pictures: Sequence[Picture]) -> list[Inspection]:
        """Answer."""
        self.batches.append(len(pictures))
        return [self.answer(picture) for picture in pictures]

    def answer(self, picture: Picture) -> Inspection:
        """Answer one picture."""
        values = np.full((8, 8), 0.4, dtype=np.float32)
        region = Region(0, 0, picture.shape[1], picture.shape[0], picture.shape[0] * picture.shape[1], 0.7)
        return Inspection(0.4, self.score, AnomalyMap(values), (region,))


class ModelWithoutMap(SteadyModel):
    """Its map is no map, of which no picture can be drawn."""

    def answer(self, picture: Picture) -> Inspection:
        """Answer, with nothing to see."""
        return replace(super().answer(picture), anomaly_map=AnomalyMap(np.zeros(3, dtype=np.float32)))


class ModelThatFailsOnWhite(SteadyModel):
    """Raises, with an error nobody foresaw, on batches with an all-white picture."""

    def answer(self, picture: Picture) -> Inspection:
        """Answer, or fail."""
        if picture.min() == 255:
            raise KeyError("white")
        return super().answer(picture)


class ModelWithoutNumberForWhite(SteadyModel):
    """Gives an all-white picture a score that is no number."""

    def answer(self, picture: Picture) -> Inspection:
        """Answer."""
        found = super().answer(picture)
        if picture.min() == 255:
            return Inspection(float("nan"), float("nan"), AnomalyMap(found.anomaly_map.values * np.nan), ())
        return found


class ModelWithHigherWhite(SteadyModel):
    """Finds an all-white picture defective."""

    def answer(self, picture: Picture) -> Inspection:
        """Answer."""
        return replace(super().answer(picture), score=4.0 if picture.min() == 255 else 0.5)


class ModelThatForgetsOne(SteadyModel):
    """Answers one picture less than it was asked about."""

    def inspect(self, pictures: Sequence[Picture]) -> list[Inspection]:
        """Answer all but the last."""
        return super().inspect(pictures)[:-1]


class HeldModel(SteadyModel):
    """Answers only once it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.entered = threading.Event()

    def inspect(self, pictures: Sequence[Picture]) -> list[Inspection]:
        """Wait, then answer."""
        self.entered.set()
        assert self.go.wait(60)
        return super().inspect(pictures)


class ModelInLanes(HeldModel):
    """Looks at pictures side by side, one at a time in each lane; counts those that it looks at now."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes = Lanes(4)
        self.looking = 0
        self._counting = threading.Lock()

    def inspect(self, pictures: Sequence[Picture]) -> list[Inspection]:
        """Wait, then answer."""
        assert len(pictures) == 1
        with self._counting:
            self.looking += 1
        return super().inspect(pictures)


class ModelInGrades(HeldModel):
    """Knows three ways to look, which all wait to be let go; each has its own calibration."""

    efforts = tuple(Effort)

    def at(self, effort: Effort) -> ModelInGrades:
        """Look with as much of it."""
        if effort is Effort.FULL:
            return self
        lesser = ModelInGrades()
        lesser.go, lesser.entered, lesser.batches = self.go, self.entered, self.batches
        lesser.calibration_id = f"steady-{effort.value}"
        return lesser


class Bench:
    """A detector on a bus of its own."""

    def __init__(self, model: SteadyModel, *, keeps: bool = False, **detector: object) -> None:
        """Serve `model`; one that `keeps` keeps evidence in the bench's store."""
        self.keeps = keeps
        self.clock = ManualClock()
        self.settings = line_settings(cameras=("camera", "other"), detector={"max_batch": 4, **detector})
        self.topics = self.settings.topics
        self.memory = MemoryBus(self.clock, MemoryBusLimits(message_bytes=64 * 1024))
        self.bus = CuttableBus(self.memory)
        self.store = CuttableStore.embedded(self.clock)
        self.payloads: PayloadStore = self.store
        self.model = model
        self.verdicts: list[Verdict] = []
        self.overlays: dict[str, bytes] = {}
        self.told_again: list[Verdict] = []
        self.sequence = 0
        self._reader: Subscription | None = None
        self._stop = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None

    async def start(self, *, away: bool = False) -> None:
        """Start a service on the bus as it is, or with the bus `away`."""
        plan = KnownPlan(await topics_for(self.settings, self.bus), PlanKeeper(self.store, self.topics), self.clock)
        self.bus.away = away
        service = DetectorService(
            self.settings,
            plan=plan,
            bus=self.bus,
            payloads=self.payloads,
            clock=self.clock,
            model=self.model,
            keeper=EvidenceKeeper(self.settings, store=self.store, clock=self.clock) if self.keeps else None,
        )
        self._stop = asyncio.Event()
        self._serving = asyncio.create_task(service.run(self._stop))

    async def kill(self) -> None:
        """End the service as a crash would."""
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.gather(self._serving, return_exceptions=True)

    async def stop(self) -> None:
        """Stop in order, moving the clock as needed."""
        self._stop.set()
        assert self._serving is not None
        await self.until(self._serving.done)
        await self._serving

    async def until(self, condition: Callable[[], bool]) -> None:
        """Move the clock in small steps, but wait for the model's thread in between, until `condition` holds."""
        async with asyncio.timeout(60):
            while not condition():
                await self.clock.advance(0.001)

    def capture(self, camera: str = CAMERA) -> Capture:
        """Return the next capture, exposed now."""
        self.sequence += 1
        now_ns = self.clock.utc_ns()
        return Capture(CaptureId(LINE, camera, 1, self.sequence), f"p{self.sequence}", now_ns, decide_by(now_ns))

    def frame(self, capture: Capture, *, level: int = GREY_LEVEL) -> tuple[FrameMessage, bytes]:
        """Return a frame message with a JPEG payload."""
        pixels = np.full((24, 32, 3), level, dtype=np.uint8)
        return FrameMessage(capture, Encoding.JPEG, 32, 24, 3, {"exposed": 1}), encode_pixels(
            pixels, Encoding.JPEG, jpeg_quality=95
        )

    async def put(self, value: bytes, capture: Capture | None) -> None:
        """Publish a frame's bytes, with headers unless there is no capture."""
        headers = () if capture is None else capture_headers(capture, "frame")
        await self.memory.publish(self.topics.frames, value, key=b"k", partition=0, headers=headers)

    async def send(self, *, level: int = GREY_LEVEL, camera: str = CAMERA) -> Capture:
        """Publish a good frame."""
        capture = self.capture(camera)
        await self.put(encode(*self.frame(capture, level=level)), capture)
        return capture

    async def send_reference(
        self, *, level: int = GREY_LEVEL, camera: str = CAMERA, keep: bool = True, changed: bool = False
    ) -> Capture:
        """Publish a good frame by reference; its payload is in the store if it is to be kept, as it was or changed."""
        capture = self.capture(camera)
        message, payload = self.frame(capture, level=level)
        if keep:
            await self.store.put_payload(capture.id, payload[::-1] if changed else payload, ttl_s=60)
        reference = PayloadReference(len(payload), zlib.crc32(payload))
        await self.put(encode(replace(message, reference=reference)), capture)
        return capture

    async def answers(self, count: int, *, drawn: int = 0) -> dict[str, Verdict]:
        """Return the verdict of each part once `count` new ones are out, one for each, and so many overlays.

        No overlay comes before its verdict, and none with it.
        """
        self.verdicts, self.overlays = [], {}

        async def read() -> None:
            if self._reader is None:
                self._reader = await self.memory.subscribe([self.topics.verdicts], group="reader", member="reader")
            while len(self.verdicts) < count or len(self.overlays) < drawn:
                for record in await self._reader.poll(max_records=100, timeout_s=0):
                    message, overlay = decode(VerdictMessage, record.value)
                    assert message.repeats == bool(overlay)
                    if not message.repeats:
                        self.verdicts.append(message.verdict)
                    else:
                        self.overlays[message.verdict.capture.part_id] = bytes(overlay)
                        self.told_again.append(message.verdict)
                await asyncio.sleep(0)

        await asyncio.wait_for(read(), 60)
        verdicts = {verdict.capture.part_id: verdict for verdict in self.verdicts}
        assert len(verdicts) == len(self.verdicts), "a frame got two verdicts"
        return verdicts

    async def letters(self, count: int) -> list[DeadLetter]:
        """Return the dead letters once there are `count`."""
        place = next(place for place in self.memory.stats() if place.topic == self.topics.dead_letters)
        await eventually(lambda: self.memory.stats()[place].records >= count)
        return [decode(DeadLetter, record.value)[0] for record in await read_all(self.memory, self.topics.dead_letters)]


@asynccontextmanager
async def bench(model: SteadyModel | None = None, *, keeps: bool = False, **detector: object) -> AsyncIterator[Bench]:
    """Serve a detector while the test runs."""
    made = Bench(model or SteadyModel(), keeps=keeps, **detector)
    await made.start()
    try:
        yield made
    finally:
        if isinstance(made.model, HeldModel):
            made.model.go.set()
        await made.kill()
