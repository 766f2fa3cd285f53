"""`linewarden bench neighbours`: what good cameras feel of one that sends garbage, one that floods, one that froze."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import Any, Final

import numpy as np
from rich.table import Table

from deploy.machine import machine_facts
from deploy.stream.rig import Answer, Exposure, Rig, running_rig
from ingest.limit import RateLimit
from shared.clock import NS_PER_S

_GOOD: Final = 5
_FLOOD: Final = 10
_LIMIT: Final = 1.5
_GATE_MS: Final = 800
_WAIT_S: Final = 60.0
_WARM_UP_S: Final = 4.0


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Percentiles of the good cameras' verdicts, alone and beside each trouble."""

    trouble: str
    p50_ms: float
    p99_ms: float
    frames: int
    missed: int


@dataclass(frozen=True, slots=True)
class NeighbourFigures:
    """All troubles; the first is none."""

    fps: float
    cost_ms: float
    rounds: int
    rows: tuple[Neighbours, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the figures."""
        return {**asdict(self), "good_cameras": _GOOD, "machine": machine_facts()}

    def table(self) -> Table:
        """Return the figures for people."""
        title = f"{_GOOD} good cameras of {self.fps:g} fps and others, one replica, {self.cost_ms:g} ms a frame"
        table = Table(title=title, title_justify="left", show_edge=False)
        for heading in ("beside", "p50 / p99 ms", "p99 moves by", "missed"):
            table.add_column(heading, justify="right")
        for row in self.rows:
            moved = row.p99_ms / self.rows[0].p99_ms - 1
            table.add_row(row.trouble, f"{row.p50_ms:.1f} / {row.p99_ms:.1f}", f"{moved:+.0%}", f"{row.missed}")
        return table


async def neighbours(*, fps: float, cost_ms: float, seconds: float, rounds: int) -> NeighbourFigures:
    """Measure it, each trouble once a round, so that what else the machine does falls on all; raises `ServerError`."""
    async with running_rig(cameras=_GOOD + 3, cost_ms=cost_ms, gate_ms=_GATE_MS) as rig:
        rig.start("replica-0")
        await rig.balanced(["replica-0"])
        rng = np.random.default_rng(0)
        await _answers(rig, _camera_sides(rig.lines, fps, _WARM_UP_S, rng)["ordinary cameras"])
        found: dict[str, list[Answer]] = {}
        good = set(rig.lines[:_GOOD])
        for _ in range(rounds):
            for trouble, exposures in _camera_sides(rig.lines, fps, seconds, rng).items():
                answers = await _answers(rig, exposures)
                found.setdefault(trouble, []).extend(answer for answer in answers if answer.line in good)
    return NeighbourFigures(fps, cost_ms, rounds, tuple(_row(name, answers) for name, answers in found.items()))


def _camera_sides(lines: list[str], fps: float, seconds: float, rng: np.random.Generator) -> dict[str, list[Exposure]]:
    """Return what all cameras expose under each trouble; the good ones the same each time."""
    parts = {line: _parts(line, fps, seconds, rng) for line in lines}
    garbage, flood, frozen = lines[_GOOD:]
    # The three are ordinary cameras at first; each trouble changes one of them.
    usual = {line: parts[line] for line in (garbage, flood, frozen)}
    broken = [replace(one, garbage=True) for one in usual[garbage]]
    wild = _parts(flood, _FLOOD * fps, seconds, rng)
    held = _limited(wild, _LIMIT * fps)
    others = {
        "ordinary cameras": usual,
        "garbage": {**usual, garbage: broken},
        "frozen": {**usual, frozen: []},
        f"flood, max_rate_hz at {_LIMIT:g} times its rate": {**usual, flood: held},
        "all three": {garbage: broken, flood: held, frozen: []},
        "flood, no max_rate_hz": {**usual, flood: wild},
    }
    exposures = [one for line in lines[:_GOOD] for one in parts[line]]
    return {
        name: sorted([*exposures, *chain.from_iterable(sides.values())], key=lambda exposure: exposure.at_s)
        for name, sides in others.items()
    }


def _parts(line: str, fps: float, seconds: float, rng: np.random.Generator) -> list[Exposure]:
    """Return a camera's exposures: one in each period, anywhere in it, as parts come on a belt."""
    count = round(seconds * fps)
    return [Exposure((turn + float(early)) / fps, line) for turn, early in enumerate(rng.uniform(0, 1, count))]


def _limited(exposures: list[Exposure], max_rate_hz: float) -> list[Exposure]:
    """Return what ingest would send of them."""
    limit = RateLimit(max_rate_hz)
    return [one for one in exposures if limit.admits(round(one.at_s * NS_PER_S))]


async def _answers(rig: Rig, exposures: list[Exposure]) -> list[Answer]:
    before = len(rig.answers)
    await rig.expose(exposures)
    await rig.heard(before + len(exposures), within_s=_WAIT_S)
    return rig.answers[before:]


def _row(trouble: str, answers: list[Answer]) -> Neighbours:
    p50, p99 = (float(value) for value in np.percentile([answer.latency_ms for answer in answers], (50, 99)))
    return Neighbours(trouble, p50, p99, len(answers), sum(not answer.inspected for answer in answers))
