"""`linewarden bench scale`: what one, two and four replicas serve, how they share, and what the plan predicted."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
from rich.table import Table

from deploy.capacity import Costs, Delay, Load, Served, simulate
from deploy.chart import Bar, Chart, Panel
from deploy.machine import machine_facts, machine_note
from deploy.stream.rig import Answer, Exposure, Rig, in_turn, late, running_rig
from shared.clock import NS_PER_MS, NS_PER_S
from shared.errors import ServerError

CAMERAS: Final = 8
_GATE_MS: Final = 800
_LOAD: Final = 0.9
_FAR_S: Final = 600.0
_WAIT_S: Final = 60.0
_FRAME_KIB: Final = 0.5
_BATCHES: Final = 8


@dataclass(frozen=True, slots=True)
class Scale:
    """Some replicas: what they serve with work waiting, and how they fare at 90 % of their engines' time."""

    replicas: int
    throughput_fps: float
    load_fps: float
    verdict_ms: tuple[float, float, float]
    decision_p99_ms: float
    parts: int
    missed: int


@dataclass(frozen=True, slots=True)
class Change:
    """What cameras felt while a replica joined or left: the longest silence beyond their own period, and misses."""

    event: str
    pause_ms: float
    worst_ms: float
    parts: int
    missed: int


@dataclass(frozen=True, slots=True)
class Prediction:
    """A run of one replica beside its simulation; throughput is of verdicts in time, latency to hearing them."""

    cameras: int
    measured_fps: float
    predicted_fps: float
    measured_p95_ms: float
    predicted_p95_ms: float


@dataclass(slots=True)
class ScalingFigures:
    """All of it."""

    cost_ms: float
    seconds: float
    deadline_ms: int = _GATE_MS
    scales: list[Scale] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    predictions: list[Prediction] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the figures."""
        return {**asdict(self), "cameras": CAMERAS, "machine": machine_facts()}

    def tables(self) -> list[Table]:
        """Return the figures for people."""
        one = self.scales[0].throughput_fps
        scales = _table(
            f"{CAMERAS} cameras, {self.cost_ms:g} ms a frame, {self.deadline_ms} ms from exposure to `decide_by`",
            (
                "replicas",
                "frames/s",
                "of linear",
                "load, frames/s",
                "verdict p50 / p95 / p99 ms",
                "decision p99",
                "missed",
            ),
        )
        for row in self.scales:
            scales.add_row(
                str(row.replicas),
                f"{row.throughput_fps:.1f}",
                f"{row.throughput_fps / one / row.replicas * self.scales[0].replicas:.3f}",
                f"{row.load_fps:.0f}",
                " / ".join(f"{value:.0f}" for value in row.verdict_ms),
                f"{row.decision_p99_ms:.0f}",
                f"{row.missed} of {row.parts}",
            )
        changes = _table("A third replica at half load", ("event", "longest pause, ms", "worst latency, ms", "missed"))
        for change in self.changes:
            changes.add_row(
                change.event, f"{change.pause_ms:.0f}", f"{change.worst_ms:.0f}", f"{change.missed} of {change.parts}"
            )
        predictions = _table(
            "One replica and its simulation",
            ("cameras", "measured, frames/s", "simulated", "measured p95, ms", "simulated"),
        )
        for seen in self.predictions:
            predictions.add_row(
                str(seen.cameras),
                f"{seen.measured_fps:.1f}",
                f"{seen.predicted_fps:.1f}",
                f"{seen.measured_p95_ms:.1f}",
                f"{seen.predicted_p95_ms:.1f}",
            )
        return [scales, changes, predictions]

    def chart(self) -> Chart:
        """Return what each number of replicas serves, by what as many single ones would."""
        first = self.scales[0]
        panel = Panel(
            "frames a second with work waiting, by those of the first row for each replica",
            tuple(
                Bar(f"{row.replicas} replicas", {"": row.throughput_fps / first.throughput_fps * first.replicas})
                for row in self.scales
            ),
        )
        late = Panel(
            "verdict p99 at 90 % load, ms",
            tuple(Bar(f"{row.replicas} replicas", {"": row.verdict_ms[2]}) for row in self.scales),
        )
        return Chart(f"{CAMERAS} cameras, {self.cost_ms:g} ms a frame", (panel, late), machine_note(machine_facts()))


async def scaling(*, cost_ms: float, seconds: float, counts: tuple[int, ...]) -> ScalingFigures:
    """Measure it; raises `ServerError` for what this machine lacks."""
    figures = ScalingFigures(cost_ms, seconds)
    async with running_rig(cameras=CAMERAS, cost_ms=cost_ms, gate_ms=_GATE_MS) as rig:
        rig.start_alerting()
        members: list[str] = []
        for count in counts:
            while len(members) < count:
                members.append(f"replica-{len(members)}")
                rig.start(members[-1])
            await rig.balanced(members)
            if count == 1:
                figures.predictions = await _predictions(rig, seconds)
            figures.scales.append(await _scale(rig, count, seconds))
            if count == 2:  # noqa: PLR2004 - two that share, and a third that comes and goes
                figures.changes = await _changes(rig, members, seconds)
    return figures


async def _scale(rig: Rig, replicas: int, seconds: float) -> Scale:
    capacity_fps = replicas * 1_000 / rig.cost_ms
    before = len(rig.answers)
    waiting = in_turn(rig.lines, fps=2 * capacity_fps / CAMERAS, seconds=seconds / 2)
    await rig.expose(waiting, deadline_s=_FAR_S)
    await rig.heard(before + len(waiting), within_s=seconds + _WAIT_S)
    served = rig.answers[before:]
    took_s = (served[-1].heard_ns - served[0].heard_ns) / NS_PER_S

    answers, decisions = len(rig.answers), len(rig.decisions)
    load_fps = _LOAD * capacity_fps
    await _announced(rig, in_turn(rig.lines, fps=load_fps / CAMERAS, seconds=seconds))
    latencies_ms = [answer.latency_ms for answer in rig.answers[answers:]]
    decided = rig.decisions[decisions:]
    p50, p95, p99 = (float(value) for value in np.percentile(latencies_ms, (50, 95, 99)))
    return Scale(
        replicas=replicas,
        throughput_fps=(len(served) - 1) / took_s,
        load_fps=load_fps,
        verdict_ms=(p50, p95, p99),
        decision_p99_ms=float(
            np.percentile([(one.decided_at_ns - one.captured_at_ns) / NS_PER_MS for one in decided], 99)
        ),
        parts=len(decided),
        missed=sum(late(one) for one in decided),
    )


async def _announced(rig: Rig, exposures: list[Exposure]) -> None:
    answers, decisions = len(rig.answers), len(rig.decisions)
    await rig.expose(exposures, announced=True)
    await rig.decided(decisions + len(exposures), within_s=_WAIT_S)
    await rig.heard(answers + len(exposures), within_s=_WAIT_S)


async def _changes(rig: Rig, members: list[str], seconds: float) -> list[Change]:
    """Let one more replica join under half the load of those that are there, and leave again."""
    fps = 0.5 * len(members) * 1_000 / rig.cost_ms / CAMERAS
    changes = []
    for event in ("join", "leave"):
        answers, decisions = len(rig.answers), len(rig.decisions)
        exposing = asyncio.create_task(_announced(rig, in_turn(rig.lines, fps=fps, seconds=seconds)))
        await rig.adapters.clock.sleep(seconds / 4)
        if event == "join":
            rig.start("guest")
        else:
            await rig.stop("guest")
        await exposing
        seen, decided = rig.answers[answers:], rig.decisions[decisions:]
        if not any(answer.replica == "guest" for answer in seen):
            raise ServerError(f"The {event} of a replica was not within {seconds:g} s.", "Give more with --seconds.")
        changes.append(
            Change(
                event=event,
                pause_ms=_longest_silence_ms(seen) - 1_000 / fps,
                worst_ms=max(answer.latency_ms for answer in seen),
                parts=len(decided),
                missed=sum(late(one) for one in decided),
            )
        )
        await rig.balanced([*members, "guest"] if event == "join" else members)
    return changes


def _longest_silence_ms(answers: list[Answer]) -> float:
    heard: dict[str, list[int]] = defaultdict(list)
    for answer in answers:
        heard[answer.line].append(answer.heard_ns)
    return max(float(np.diff(np.array(times)).max()) for times in heard.values()) / NS_PER_MS


async def _predictions(rig: Rig, seconds: float) -> list[Prediction]:
    """Run one replica with more and more cameras; what one camera shows of costs and ways predicts the others."""
    fps = _LOAD * 1_000 / rig.cost_ms / CAMERAS
    costs: Costs | None = None
    rows = []
    for cameras in (1, 2, 4, CAMERAS):
        phases = np.random.default_rng(0).uniform(0, 1, cameras)
        exposures = sorted(
            (
                Exposure((float(phase) + turn) / fps, line)
                for line, phase in zip(rig.lines, phases, strict=False)
                for turn in range(round(seconds * fps))
            ),
            key=lambda exposure: exposure.at_s,
        )
        answers = len(rig.answers)
        await rig.expose(exposures)
        await rig.heard(answers + len(exposures), within_s=_WAIT_S)
        seen = rig.answers[answers:]
        costs = costs or _costs(seen)
        load = Load(cameras, fps, _GATE_MS, _FRAME_KIB)
        predicted: Served = simulate(load, costs, max_batch=_BATCHES, linger_ms=0, seconds=60, seed=0)
        in_time = [answer for answer in seen if answer.inspected]
        rows.append(
            Prediction(
                cameras=cameras,
                measured_fps=len(in_time) / seconds,
                predicted_fps=predicted.served_fps,
                measured_p95_ms=float(np.percentile([answer.latency_ms for answer in in_time], 95)),
                predicted_p95_ms=predicted.p95_ms,
            )
        )
    return rows


def _costs(seen: list[Answer]) -> Costs:
    """Return a batch's cost and the ways to and from the engine, from the stamps of a single camera's frames."""
    engine = _delay([answer.stamps_ns["inferred"] - answer.stamps_ns["batched"] for answer in seen])
    return Costs(
        batches=tuple(Delay(size * engine.median_ms, size * engine.p99_ms) for size in range(1, _BATCHES + 1)),
        to_engine=_delay([answer.stamps_ns["received"] - answer.captured_at_ns for answer in seen]),
        to_signal=_delay([answer.heard_ns - answer.stamps_ns["inferred"] for answer in seen]),
    )


def _delay(times_ns: list[int]) -> Delay:
    median, p99 = (float(value) / NS_PER_MS for value in np.percentile(times_ns, (50, 99)))
    return Delay(median, p99)


def _table(title: str, headings: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left", show_edge=False)
    for heading in headings:
        table.add_column(heading, justify="right")
    return table
