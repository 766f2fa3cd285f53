"""What `linewarden bench model` found of each engine, and whether it is within its bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from rich.table import Table

from deploy.bounds import Bound
from deploy.chart import Bar, Chart, Panel
from deploy.machine import machine_facts, machine_note
from deploy.speed.parts import PARTS
from deploy.speed.recipe import AS_BUILT
from deploy.speed.timing import LARGEST_GAP, Breakdown, Timing, ratio_of
from deploy.speed.turns import Turns

CLOSE: Final = 0.999
"""The least cosine of features that a float32 engine may have with the reference's."""


@dataclass(frozen=True, slots=True)
class SpeedBounds:
    """What a tower's engines must reach in one run; None where nothing is asked.

    All but `around` are ratios to the reference, in pictures a second the better way.
    """

    around: float | None = None
    fastest: float | None = None
    float32: float | None = None
    int8: float | None = None


BOUNDS: Final[Mapping[str, SpeedBounds]] = {
    "linewarden-lite": SpeedBounds(around=0.25, fastest=4.0),
    "ViT-B-16": SpeedBounds(around=0.05, float32=1.2, int8=2.0),
}


@dataclass(frozen=True, slots=True)
class Speedup:
    """How many times as many pictures one engine inspects as another.

    `best` is of each one's better way: one by one, or in a stream of pictures that wait.
    """

    best: float
    one_by_one: float
    stream: float


def speedup_of(ours: Turns, theirs: Turns) -> Speedup:
    """Return how much faster `ours` were, in turns that both took one after the other."""
    return Speedup(
        best=ratio_of(theirs.best_ns, ours.best_ns),
        one_by_one=ratio_of(theirs.whole_ns, ours.whole_ns),
        stream=ratio_of(theirs.stream_ns, ours.stream_ns),
    )


@dataclass(frozen=True, slots=True)
class EngineFigures:
    """One engine: the encoder by itself, the whole inspection with decoding, what that is made of, and its likeness.

    `around` is what everything but the encoder takes, as a share of the encoder's own time. `stream_per_s` is while
    pictures wait; a bound on pictures a second is on the better way, one by one or in a stream, of both sides.
    `over_as_built` is over the reference, torch as open_clip builds the tower, `over_torch` over our engine on torch.
    `cosine` is the mean one of its features with the reference's, place by place.
    """

    engine: str
    encoder: Timing
    whole: Timing
    breakdown: Breakdown
    around: float
    stream_per_s: float
    over_as_built: Speedup
    over_torch: Speedup
    cosine: float

    @property
    def label(self) -> str:
        """Return its name for people."""
        return "torch as built" if self.engine == AS_BUILT else self.engine

    @property
    def best_per_s(self) -> float:
        """Return how many pictures a second it inspects the better way."""
        return max(self.whole.per_s, self.stream_per_s)


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
        """Return the engine that inspects the most pictures a second."""
        return max(self.engines, key=lambda one: one.over_as_built.best)

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """Return what must hold: of every engine that its parts add up, of the tower what the table says."""
        wanted = BOUNDS.get(self.tower, SpeedBounds())
        found = [
            Bound(
                one.label,
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
                Bound(self.fastest.label, "around the encoder", f"{share:.1%}", f"<= {wanted.around:.0%}", held)
            )
        int8 = [one for one in self.engines if "int8" in one.engine]
        lesser = [*int8, *(one for one in self.engines if "bf16" in one.engine)]
        float32 = [one for one in self.engines[1:] if one not in lesser and one.cosine >= CLOSE]
        for name, least, those in (
            ("fastest over torch as built", wanted.fastest, list(self.engines)),
            ("float32 over torch as built", wanted.float32, float32),
            ("int8 over torch as built", wanted.int8 if self.machine.get("vnni") else None, int8),
        ):
            if least is not None:
                best = max(those, key=lambda one: one.over_as_built.best, default=None)
                shown = "no such engine" if best is None else f"{best.over_as_built.best:.2f}"
                held = best is not None and best.over_as_built.best >= least
                found.append(Bound("" if best is None else best.label, name, shown, f">= {least:g}", held))
        return tuple(found)

    @property
    def sound(self) -> bool:
        """Return whether every bound is held."""
        return all(bound.held for bound in self.bounds)

    def to_json(self) -> dict[str, Any]:
        """Return the figures under stable names."""
        ratios = {
            one.engine: {
                "pictures_per_s_best": one.best_per_s,
                "over_torch_as_built": asdict(one.over_as_built),
                "over_torch": asdict(one.over_torch),
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
        speeds = _table(
            title,
            ("engine", "pictures/s, best", "over torch as built", "over our torch", "one by one", "in a stream"),
        )
        alone = _table("One by one", ("engine", "p50 / p99 ms", "encoder, ms", "around", "cosine"))
        for one in self.engines:
            speeds.add_row(
                one.label,
                f"{one.best_per_s:.1f}",
                f"{one.over_as_built.best:.2f}",
                f"{one.over_torch.best:.2f}",
                f"{one.whole.per_s:.1f}",
                f"{one.stream_per_s:.1f}",
            )
            alone.add_row(
                one.label,
                f"{one.whole.p50_ms:.1f} / {one.whole.p99_ms:.1f}",
                f"{one.encoder.mean_ms:.2f}",
                f"{one.around:.0%}",
                f"{one.cosine:.4f}",
            )
        parts = _table("Of one picture, ms", ("", *(one.label for one in self.engines)))
        for name in PARTS:
            if any(name in one.breakdown.parts_ms for one in self.engines):
                parts.add_row(name, *(_ms(one.breakdown.parts_ms.get(name)) for one in self.engines))
        parts.add_row("sum", *(_ms(one.breakdown.sum_ms) for one in self.engines))
        parts.add_row("whole, with nothing measured in it", *(_ms(one.whole.mean_ms) for one in self.engines))
        bounds = Table("", "", "measured", "bound", "", title_justify="left", show_edge=False)
        for bound in self.bounds:
            bounds.add_row(*bound.row)
        return [speeds, alone, parts, bounds]

    def chart(self) -> Chart:
        """Return the speeds beside each other, and what a picture's time is made of."""
        least = BOUNDS.get(self.tower, SpeedBounds()).fastest
        speeds = Panel(
            "pictures a second, best, as multiples of torch as built",
            tuple(
                Bar(one.label, {"": one.over_as_built.best}, least if one is self.fastest else None)
                for one in self.engines
            ),
        )
        parts = Panel("one picture, ms", tuple(Bar(one.label, dict(one.breakdown.parts_ms)) for one in self.engines))
        return Chart(f"{self.model}: a model by itself", (speeds, parts), machine_note(self.machine))


def _table(title: str, headings: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left", show_edge=False)
    for heading in headings:
        table.add_column(heading, justify="right")
    return table


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
