"""Kafka and Redis, detector replicas as processes, cameras that expose on schedule, and ears for what is answered."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from deploy.adapters import Adapters, adapters_for
from deploy.app import Role, build
from deploy.servers.child import ChildProcess
from deploy.servers.kafka import KafkaServer
from deploy.servers.redis import RedisServer
from deploy.stream.replica import FixedCostModel
from detector.service import DetectorService
from ingest.encode import encode_pixels
from shared.clock import NS_PER_MS, NS_PER_S
from shared.domain import Capture, CaptureId, Decision, Outcome, PartAnnouncement, VerdictStatus
from shared.envelope import capture_headers
from shared.errors import ServerError, WireError
from shared.lifecycle import serve
from shared.settings import Settings, load
from shared.topics import camera_key, part_key
from shared.wire import Encoding, FrameMessage, VerdictMessage, decode, encode

CAMERA: Final = "camera"
_TEMPLATE: Final = """\
[bus]
url = "{bus}"
topic_prefix = "stream"

[store]
url = "{store}"
key_prefix = "stream"

[detector]
member = "{member}"
"""
_LINE: Final = """
[[lines]]
name = "{line}"
gate_delay_ms = {gate_delay_ms}
actuation_lead_ms = 200
cameras = [{{ name = "camera" }}]
"""
_READY_S: Final = 60.0
_STOP_S: Final = 10.0
_FAR_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Exposure:
    """One frame to publish, `at_s` after the beginning, from the camera of `line`."""

    at_s: float
    line: str
    garbage: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A verdict as it was heard; `stamps_ns` are the frame's and the detector's, in UTC."""

    line: str
    replica: str
    inspected: bool
    captured_at_ns: int
    heard_ns: int
    stamps_ns: dict[str, int]

    @property
    def latency_ms(self) -> float:
        """Return the time from exposure to hearing the verdict."""
        return (self.heard_ns - self.captured_at_ns) / NS_PER_MS


@dataclass(slots=True)
class Rig:
    """What runs; `answers` and `decisions` grow while it does."""

    folder: Path
    settings: Settings
    adapters: Adapters
    cost_ms: float
    answers: list[Answer] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    _processes: dict[str, ChildProcess] = field(default_factory=dict)
    _sequence: int = 0

    @property
    def lines(self) -> list[str]:
        """Return the lines' names; each has one camera."""
        return [line.name for line in self.settings.lines]

    @property
    def gate_ms(self) -> int:
        """Return the time from exposure to `decide_by`."""
        (line, *_) = self.settings.lines
        return line.gate_delay_ms - line.actuation_lead_ms

    def start(self, member: str) -> None:
        """Start a replica; it has joined when `balanced` says so."""
        config = _config(self.folder / f"{member}.toml", member)
        argv = [sys.executable, "-m", "deploy.stream.replica", str(config), str(self.cost_ms)]
        self._processes[member] = ChildProcess(argv, self.folder / f"{member}.log")

    def start_alerting(self) -> None:
        """Start the alerting role, so that there are decisions."""
        config = _config(self.folder / "alerting.toml", "none")
        argv = [sys.executable, "-m", "deploy.cli", "run", "--config", str(config), "--role", "alerting"]
        self._processes["alerting"] = ChildProcess(argv, self.folder / "alerting.log")

    async def stop(self, member: str) -> None:
        """Let a process end in order."""
        await asyncio.to_thread(self._processes.pop(member).stop, _STOP_S)

    @asynccontextmanager
    async def all_inside(self) -> AsyncIterator[None]:
        """Run a replica and alerting in this very process."""
        model = FixedCostModel("inside", self.cost_ms)
        adapters = self.adapters
        detector = DetectorService(
            self.settings,
            plan=adapters.plan,
            bus=adapters.bus,
            payloads=adapters.payloads,
            clock=adapters.clock,
            model=model,
        )
        stop = asyncio.Event()
        services = [detector, *build(Role.ALERTING, self.settings, adapters)]
        serving = asyncio.create_task(serve(services, stop, drain_s=self.settings.drain_s, clock=adapters.clock))
        try:
            yield
        finally:
            stop.set()
            await serving

    def kill_all(self) -> None:
        """End whatever runs."""
        for process in self._processes.values():
            process.kill()

    async def balanced(self, members: Iterable[str]) -> None:
        """Probe until each camera was answered, and each of these replicas has its fair share of them."""
        wanted = sorted(members)
        deadline_ns = self.adapters.clock.monotonic_ns() + round(_READY_S * NS_PER_S)
        while True:
            heard = len(self.answers)
            await self.expose([Exposure(0, line) for line in self.lines], deadline_s=_FAR_S)
            with suppress(TimeoutError):
                await self.heard(heard + len(self.lines), within_s=2)
            shares = Counter(answer.replica for answer in self.answers[heard:])
            fair = len(self.lines) // len(wanted)
            if sorted(shares) == wanted and all(count >= fair for count in shares.values()):
                return
            if self.adapters.clock.monotonic_ns() > deadline_ns:
                tails = {name: process.log_tail()[-400:] for name, process in self._processes.items()}
                raise ServerError(f"The replicas did not share the cameras: {dict(shares)}, {tails}", "Try again.")

    async def heard(self, count: int, *, within_s: float) -> None:
        """Wait until so many verdicts were heard; raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while len(self.answers) < count:
                await self.adapters.clock.sleep(0.02)

    async def decided(self, count: int, *, within_s: float) -> None:
        """Wait until so many decisions were heard; raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while len(self.decisions) < count:
                await self.adapters.clock.sleep(0.02)

    async def expose(
        self, exposures: Sequence[Exposure], *, deadline_s: float | None = None, announced: bool = False
    ) -> None:
        """Publish frames at their times, which are those of their exposure however late they are published."""
        began_ns, began_utc_ns = self.adapters.clock.monotonic_ns(), self.adapters.clock.utc_ns()
        deadline_ns = round((self.gate_ms / 1_000 if deadline_s is None else deadline_s) * NS_PER_S)
        async with asyncio.TaskGroup() as publishing:
            for exposure in exposures:
                at_ns = round(exposure.at_s * NS_PER_S)
                wait_ns = began_ns + at_ns - self.adapters.clock.monotonic_ns()
                await self.adapters.clock.sleep(max(0, wait_ns) / NS_PER_S)
                self._sequence += 1
                identity = CaptureId(exposure.line, CAMERA, 1, self._sequence)
                exposed_ns = began_utc_ns + at_ns
                capture = Capture(identity, f"part-{self._sequence}", exposed_ns, exposed_ns + deadline_ns)
                publishing.create_task(self._publish(capture, garbage=exposure.garbage, announced=announced))

    async def _publish(self, capture: Capture, *, garbage: bool, announced: bool) -> None:
        line, topics, plan = capture.id.line, self.settings.topics, self.adapters.plan.plan
        if announced:
            part = PartAnnouncement(line, capture.part_id, (CAMERA,), capture.captured_at_ns, capture.decide_by_ns)
            key = part_key(line, capture.part_id)
            await self.adapters.bus.publish(topics.captures, encode(part), key=key, partition=plan.of_line(line))
        message = FrameMessage(capture, Encoding.JPEG, _SIZE_PX, _SIZE_PX, 1)
        await self.adapters.bus.publish(
            topics.frames,
            _GARBAGE if garbage else encode(message, _PAYLOAD),
            key=camera_key(line, CAMERA),
            partition=plan.of_camera(line, CAMERA, capture.id.sequence),
            headers=capture_headers(capture, "frame"),
        )

    async def listen(self) -> None:
        """Hear verdicts and decisions; ends when it is cancelled."""
        topics, clock = self.settings.topics, self.adapters.clock
        ears = await self.adapters.bus.subscribe([topics.verdicts, topics.decisions], group="ears", member="ears")
        try:
            while True:
                records = await ears.poll(max_records=500, timeout_s=0.02)
                for record in records:
                    with suppress(WireError):
                        if record.topic == topics.decisions:
                            self.decisions.append(decode(Decision, record.value)[0])
                        else:
                            self._hear(decode(VerdictMessage, record.value)[0], clock.utc_ns())
                if records:
                    await ears.commit({record.place: record.offset + 1 for record in records})
        finally:
            await ears.close()

    def _hear(self, message: VerdictMessage, now_ns: int) -> None:
        if message.repeats:
            return
        verdict = message.verdict
        answer = Answer(
            line=verdict.capture.id.line,
            replica=verdict.model_id,
            inspected=verdict.status is VerdictStatus.INSPECTED,
            captured_at_ns=verdict.capture.captured_at_ns,
            heard_ns=now_ns,
            stamps_ns=dict(verdict.stamps_ns),
        )
        self.answers.append(answer)


_SIZE_PX: Final = 64
_PAYLOAD: Final = encode_pixels(np.full((_SIZE_PX, _SIZE_PX), 128, np.uint8), Encoding.JPEG, jpeg_quality=90)
_GARBAGE: Final = b"\x00" * 4096


def in_turn(lines: Sequence[str], *, fps: float, seconds: float) -> list[Exposure]:
    """Return what cameras expose that run at one rate, each at its own phase."""
    period_s = 1 / fps
    exposures = [
        Exposure((turn + index / len(lines)) * period_s, line)
        for index, line in enumerate(lines)
        for turn in range(round(seconds * fps))
    ]
    return sorted(exposures, key=lambda exposure: exposure.at_s)


def late(decision: Decision) -> bool:
    """Return whether a part was decided by default: nobody's verdict came in time."""
    return decision.outcome is Outcome.DEFAULT_REJECT


@asynccontextmanager
async def running_rig(*, cameras: int, cost_ms: float, gate_ms: int, memory: bool = False) -> AsyncIterator[Rig]:
    """Start the servers, if it is not all to happen in `memory`, and the ears; whatever still runs ends with it.

    Raises `ServerError` for what this machine lacks.
    """
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="linewarden-stream-")))
        bus = store = "memory://"
        if not memory:
            kafka, redis = KafkaServer(folder / "kafka"), RedisServer(folder / "redis")
            for server in (kafka, redis):
                stack.callback(server.stop)
                await asyncio.to_thread(server.start)
            bus, store = kafka.url, redis.url
        text = _TEMPLATE.format(bus=bus, store=store, member="parent") + "".join(
            _LINE.format(line=f"line-{index}", gate_delay_ms=gate_ms + 200) for index in range(cameras)
        )
        path = folder / "parent.toml"
        path.write_text(text, encoding="utf-8")
        settings = load(path)
        adapters = await stack.enter_async_context(adapters_for(settings))
        rig = Rig(folder, settings, adapters, cost_ms)
        stack.callback(rig.kill_all)
        listening = asyncio.create_task(rig.listen())
        try:
            yield rig
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening


def _config(path: Path, member: str) -> Path:
    text = (path.parent / "parent.toml").read_text(encoding="utf-8")
    path.write_text(text.replace('member = "parent"', f'member = "{member}"'), encoding="utf-8")
    return path
