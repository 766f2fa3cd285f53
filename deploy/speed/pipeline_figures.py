"""What `linewarden bench pipeline` found, and whether it is within its bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
from rich.table import Table

from deploy.bounds import Bound
from deploy.chart import Bar, Chart, Panel
from deploy.machine import machine_facts, machine_note
from deploy.speed.bare_engine import Alone
from deploy.speed.detector_alone import Footprint
from deploy.speed.running_line import Flow

LEAST_OF_BARE: Final = {"memory": 0.85, "kafka": 0.5}
MOST_ADDED_MS: Final = 12.0
MOST_RESIDENT_MIB: Final = 600.0
LATEST_VERDICT_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Sustained:
    """A line as fast as it goes, in turns with its bare engine; `share` is the median of the turns' ratios.

    `profile_ms` is who used the processor for a picture, in a turn of its own: roles, libraries, the broker.
    """

    bus: str
    encoding: str
    bare_per_s: float
    line_per_s: float
    share: float
    inspected: int
    defaulted: int
    profile_ms: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Latency:
    """At a camera's rate: the model by itself, and capture to acknowledged signal, in ms."""

    fps: float
    model_p50_ms: float
    model_p99_ms: float
    line_p50_ms: float
    line_p99_ms: float
    parts: int
    defaulted: int

    @property
    def added_p99_ms(self) -> float:
        """Return by how much the line's 99th percentile is above the model's."""
        return self.line_p99_ms - self.model_p99_ms


@dataclass(frozen=True, slots=True)
class PipelineFigures:
    """All of it; what was left out is None."""

    model: str
    picture_px: tuple[int, int]
    threads: int
    cores: int
    sustained: tuple[Sustained, ...]
    latency: Latency | None
    footprint: Footprint | None
    machine: dict[str, Any] = field(default_factory=machine_facts)

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """Return what must hold."""
        found = []
        for one in self.sustained:
            least = LEAST_OF_BARE[one.bus]
            found.append(Bound(one.bus, "of the bare engine", f"{one.share:.2f}", f">= {least:g}", one.share >= least))
            found.append(Bound(one.bus, "parts decided by default", str(one.defaulted), "0", not one.defaulted))
        if (seen := self.latency) is not None:
            name, shown = f"p99 at {seen.fps:g} fps over the model's, ms", f"{seen.added_p99_ms:+.1f}"
            found.append(Bound("memory", name, shown, f"<= {MOST_ADDED_MS:g}", seen.added_p99_ms <= MOST_ADDED_MS))
        if (alone := self.footprint) is not None:
            mib, first_s = alone.resident_mib, alone.first_verdict_s
            found += [
                Bound("detector", "resident, MiB", f"{mib:.0f}", f"< {MOST_RESIDENT_MIB:g}", mib < MOST_RESIDENT_MIB),
                Bound("detector", "torch loaded", "yes" if alone.torch_loaded else "no", "no", not alone.torch_loaded),
                Bound(
                    "detector",
                    "start to first verdict, s",
                    f"{first_s:.2f}",
                    f"< {LATEST_VERDICT_S:g}",
                    first_s < LATEST_VERDICT_S,
                ),
            ]
        return tuple(found)

    @property
    def sound(self) -> bool:
        """Return whether every bound is held."""
        return all(bound.held for bound in self.bounds)

    def to_json(self) -> dict[str, Any]:
        """Return the figures under stable names."""
        added = {} if self.latency is None else {"added_p99_ms": self.latency.added_p99_ms}
        bounds = [asdict(bound) for bound in self.bounds]
        return {**asdict(self), **added, "bounds": bounds, "sound": self.sound}

    def tables(self) -> list[Table]:
        """Return the figures for people."""
        height_px, width_px = self.picture_px
        title = f"{self.model}, {width_px}x{height_px}, {self.threads} threads on {self.cores} cores"
        flows = Table(title=title, title_justify="left", show_edge=False)
        for heading in ("bus", "frames", "bare engine, pictures/s", "line", "of bare", "defaulted"):
            flows.add_column(heading, justify="right")
        for one in self.sustained:
            row = (f"{one.bare_per_s:.1f}", f"{one.line_per_s:.1f}", f"{one.share:.2f}")
            flows.add_row(one.bus, one.encoding, *row, f"{one.defaulted} of {one.inspected + one.defaulted}")
        profile = Table(title="Processor, ms a picture", title_justify="left", show_edge=False)
        for heading in ("", *(one.bus for one in self.sustained)):
            profile.add_column(heading, justify="right")
        for owner in dict.fromkeys(owner for one in self.sustained for owner in one.profile_ms):
            profile.add_row(owner, *(f"{one.profile_ms.get(owner, 0.0):.2f}" for one in self.sustained))
        bounds = Table("", "", "measured", "bound", "", title_justify="left", show_edge=False)
        for bound in self.bounds:
            bounds.add_row(*bound.row)
        return [flows, profile, bounds]

    def chart(self) -> Chart:
        """Return the shares of the bare engine, and who used the processor."""
        panels = [
            Panel(
                "pictures a second, as a share of the bare engine's",
                tuple(Bar(one.bus, {"": one.share}, LEAST_OF_BARE[one.bus]) for one in self.sustained),
            ),
            Panel("processor, ms a picture", tuple(Bar(one.bus, dict(one.profile_ms)) for one in self.sustained)),
        ]
        if (seen := self.latency) is not None:
            bars = (
                Bar("model alone", {"": seen.model_p99_ms}),
                Bar("capture to signal", {"": seen.line_p99_ms}, seen.model_p99_ms + MOST_ADDED_MS),
            )
            panels.append(Panel(f"99th percentile at {seen.fps:g} fps, ms", bars))
        return Chart(f"{self.model}: a whole line in one process", tuple(panels), machine_note(self.machine))


def sustained_of(
    bus: str,
    encoding: str,
    bare: Sequence[Alone],
    line: Sequence[Flow],
    profiled: Flow,
    used_s: Mapping[str, float],
) -> Sustained:
    """Return what turns of both showed; one turn of each belongs together."""
    return Sustained(
        bus=bus,
        encoding=encoding,
        bare_per_s=float(np.median([one.per_s for one in bare])),
        line_per_s=float(np.median([one.per_s for one in line])),
        share=float(np.median([whole.per_s / alone.per_s for alone, whole in zip(bare, line, strict=True)])),
        inspected=sum(one.inspected for one in line),
        defaulted=sum(one.defaulted for one in line),
        profile_ms={owner: seconds * 1_000 / max(1, profiled.inspected) for owner, seconds in used_s.items()},
    )


def latency_of(fps: float, bare: Sequence[Alone], line: Sequence[Flow]) -> Latency:
    """Return the percentiles of all turns of the model, and of all turns of the line."""
    alone = [value for one in bare for value in one.times_ms]
    whole = [value for one in line for value in one.latencies_ms]
    (model_p50, model_p99), (line_p50, line_p99) = (
        (float(value) for value in np.percentile(values, (50, 99))) for values in (alone, whole)
    )
    parts, defaulted = sum(one.inspected for one in line), sum(one.defaulted for one in line)
    return Latency(fps, model_p50, model_p99, line_p50, line_p99, parts, defaulted)
