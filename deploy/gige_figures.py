"""What `linewarden bench gige` counted, and whether it is within its bounds."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.table import Table

from deploy.bounds import Bound
from deploy.machine import machine_facts
from ingest.sources.base import Shot
from shared.clock import NS_PER_MS
from shared.domain import Picture


@dataclass(slots=True)
class Tally:
    """What was read of a camera: whole pictures and how many of them have a hole, and faults by their kind."""

    good: int = 0
    holed: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    first: int | None = None
    last: int | None = None
    latencies_ms: list[float] = field(default_factory=list)

    def take(self, shot: Shot) -> None:
        """Count a shot."""
        self.first = shot.trigger if self.first is None else self.first
        self.last = shot.trigger
        if shot.pixels is None:
            self.faults[str(shot.fault)] += 1
            return
        self.good += 1
        self.holed += not _is_ramp(shot.pixels)
        self.latencies_ms.append((time.time_ns() - shot.captured_at_ns) / NS_PER_MS)

    @property
    def unaccounted(self) -> int:
        """How many of the camera's frame ids were neither a picture nor a fault."""
        if self.first is None or self.last is None:
            return 0
        return self.last - self.first + 1 - self.good - self.faults.total()


@dataclass(frozen=True, slots=True)
class GigeFigures:
    """All phases' bounds, and the figures behind them."""

    bounds: tuple[Bound, ...]
    phases: dict[str, dict[str, Any]]
    machine: dict[str, Any] = field(default_factory=machine_facts)

    @property
    def sound(self) -> bool:
        """Return whether every bound is held."""
        return all(bound.held for bound in self.bounds)

    def table(self) -> Table:
        """Return the bounds as a table."""
        table = Table("", "", "measured", "bound", "", title="GigE Vision against Aravis' software camera")
        for bound in self.bounds:
            table.add_row(*bound.row)
        return table

    def to_json(self) -> dict[str, Any]:
        """Return all figures."""
        bounds = [asdict(bound) for bound in self.bounds]
        return {"sound": self.sound, "bounds": bounds, **self.phases, "machine": self.machine}


def _is_ramp(picture: Picture) -> bool:
    """Return whether each row is the one above it moved by one pixel: what is missing or of another frame breaks it."""
    return bool((picture[1:, :-1] == picture[:-1, 1:]).all())
