"""What `linewarden bench model` found of each engine, and whether it is within its bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from rich.table import Table

from deploy.bounds import Bound
from deploy.chart import Bar, Chart, Panel
from deploy.machine import machine_facts, machine_note
from deploy.speed.timing import LARGEST_GAP, Breakdown, Timing

CLOSE: Final = 0.999
"""The least cosine of features that a float32 engine may have with the reference's."""


@dataclass(frozen=True, slots=True)
class SpeedBounds:
    """What a tower's engines must reach, as ratios to the reference in one run; None where nothing is asked."""

    around: float | None = None
    fastest: float | None = None
    float32: float | None = None
    int8: float | None = None


BOUNDS: Final[Mapping[str, SpeedBounds]] = {
    "linewarden-lite": SpeedBounds(around=0.25, fastest=4.0),
    "ViT-B-16": SpeedBounds(around=0.05, float32=1.2, int8=2.0),
}


@dataclass(frozen=True, slots=True)
class EngineFigures:
    """One engine: the encoder by itself, the whole inspection with decoding, what that is made of, and its likeness.

    `around` is what everything but the encoder takes, as a share of the encoder's own time; `speedup` how many times as
    many pictures it inspects as the reference, one by one. The `batched` ones are of eight pictures at once. `cosine`
    is the mean one of its features with the reference's, place by place.
    """

    engine: str
    encoder: Timing
    whole: Timing
    breakdown: Breakdown
    around: float
    speedup: float
    batched_per_s: float
    batched_speedup: float
    cosine: float


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """All engines of one model, which took turns; the first is the reference."""

    model: str
    tower: str
    canvas_px: tuple[int, int]
    encoding: str
    threads: int
    rounds: int
    engines: tuple[EngineFigures, ...]
    machine: dict[str, Any] = field(default_factory=machine_facts)

    @property
    def fastest(self) -> EngineFigures:
        """Return the engine whose whole inspection is the fastest."""
        return max(self.engines, key=lambda one: one.speedup)

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """Return what must hold: of every engine that its parts add up, of the tower what the table says."""
        wanted = BOUNDS.get(self.tower, SpeedBounds())
        found = [
            Bound(
                one.engine,
                "parts of the whole, less the whole",
                f"{one.breakdown.gap:+.1%}",
                f"+-{LARGEST_GAP:.0%}",
                one.breakdown.adds_up,
            )
            for one in self.engines
        ]
        if wanted.around is not None:
            share = self.fastest.around
            held = share <= wanted.around
            found.append(
                Bound(self.fastest.engine, "around the encoder", f"{share:.1%}", f"<= {wanted.around:.0%}", held)
            )
        int8 = [one for one in self.engines if "int8" in one.engine]
        lesser = [*int8, *(one for one in self.engines if "bf16" in one.engine)]
        float32 = [one for one in self.engines[1:] if one not in lesser and one.cosine >= CLOSE]
        for name, least, those in (
            ("fastest engine over the reference", wanted.fastest, list(self.engines)),
            ("fastest float32 engine over the reference", wanted.float32, float32),
            ("int8 over the reference", wanted.int8 if self.machine.get("vnni") else None, int8),
        ):
            if least is not None:
                best = max(those, key=lambda one: one.speedup, default=None)
                shown = "no such engine" if best is None else f"{best.speedup:.2f}"
                held = best is not None and best.speedup >= least
                found.append(Bound("" if best is None else best.engine, name, shown, f">= {least:g}", held))
        return tuple(found)

    @property
    def sound(self) -> bool:
        """Return whether every bound is held."""
        return all(bound.held for bound in self.bounds)

    def to_json(self) -> dict[str, Any]:
        """Return the figures under stable names."""
        ratios = {
            one.engine: {
                "over_reference": one.speedup,
                "batched_over_reference": one.batched_speedup,
                "around_encoder": one.around,
            }
            for one in self.engines
        }
        bounds = [asdict(bound) for bound in self.bounds]
        return {**asdict(self), "ratios": ratios, "bounds": bounds, "sound": self.sound}

    def tables(self) -> list[Table]:
        """Return the figures for people."""
        title = (
            f"{self.model}: {self.canvas_px[1]}x{self.canvas_px[0]}, frames as {self.encoding}, {self.threads} threads,"
            f" {self.rounds} turns"
        )
        table = Table(title=title, title_justify="left", show_edge=False)
        for heading in (
            "engine",
            "pictures/s",
            "over reference",
            "eight at once",
            "over reference",
            "p50 / p99 ms",
            "encoder, ms",
            "around",
            "cosine",
        ):
            table.add_column(heading, justify="right")
        for one in self.engines:
            table.add_row(
                one.engine,
                f"{one.whole.per_s:.1f}",
                f"{one.speedup:.2f}",
                f"{one.batched_per_s:.1f}",
                f"{one.batched_speedup:.2f}",
                f"{one.whole.p50_ms:.1f} / {one.whole.p99_ms:.1f}",
                f"{one.encoder.mean_ms:.2f}",
                f"{one.around:.0%}",
                f"{one.cosine:.4f}",
            )
        parts = Table(title="Of one picture, ms", title_justify="left", show_edge=False)
        for heading in ("", *(one.engine for one in self.engines)):
            parts.add_column(heading, justify="right")
        for name in dict.fromkeys(name for one in self.engines for name in one.breakdown.parts_ms):
            parts.add_row(name, *(f"{one.breakdown.parts_ms.get(name, 0.0):.2f}" for one in self.engines))
        parts.add_row("sum", *(f"{one.breakdown.sum_ms:.2f}" for one in self.engines))
        parts.add_row("whole, with nothing measured in it", *(f"{one.whole.mean_ms:.2f}" for one in self.engines))
        bounds = Table("", "", "measured", "bound", "", title_justify="left", show_edge=False)
        for bound in self.bounds:
            bounds.add_row(*bound.row)
        return [table, parts, bounds]

    def chart(self) -> Chart:
        """Return the speeds beside each other, and what a picture's time is made of."""
        least = BOUNDS.get(self.tower, SpeedBounds()).fastest
        speeds = Panel(
            "pictures a second, as multiples of the reference",
            tuple(Bar(one.engine, {"": one.speedup}, least if one is self.fastest else None) for one in self.engines),
        )
        parts = Panel("one picture, ms", tuple(Bar(one.engine, dict(one.breakdown.parts_ms)) for one in self.engines))
        return Chart(f"{self.model}: a model by itself", (speeds, parts), machine_note(self.machine))
