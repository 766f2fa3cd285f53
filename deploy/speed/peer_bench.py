"""`linewarden bench compare`: our engines beside anomalib's inferencers: the same pictures, trunk, size and machine."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from rich.table import Table

from deploy.bounds import Bound
from deploy.chart import Bar, Chart, Panel
from deploy.comparison import OURS, PEERS, anomalib_version, canvas_for, write_pictures, write_trunk
from deploy.machine import machine_facts, machine_note
from deploy.speed.contenders import contenders
from deploy.speed.cores import on_cores
from deploy.speed.peers import running_peers
from deploy.speed.side import Side
from deploy.speed.subjects import export_all, frames
from deploy.speed.timing import Timing, ratio_of, timing_of
from deploy.speed.turns import STREAM
from detector.model.profiles import LITE
from detector.pictures.sets import list_good
from detector.training.fit import train
from ingest.rendering.conveyor import ConveyorSettings, write_dataset
from shared.clock import NS_PER_MS

if TYPE_CHECKING:
    from deploy.speed.frame import Frame
    from deploy.speed.worker import Worker
    from detector.model.lens import Size

LEAST_TIMES: Final = 3.0
"""How many times as many pictures as anomalib's fastest inferencer our fastest engine must inspect."""
_GOOD: Final = 60
_DIFFERENT: Final = 24
_EACH_TURN: Final = 4
# As the peers call several inferencers.
_SIDE_BY_SIDE: Final = "side by side"


@dataclass(frozen=True, slots=True)
class Runner:
    """An engine of ours or an inferencer of anomalib's, from the JPEG on; `slower` times as slow as our best.

    Each of ours is there one by one, and in a stream of pictures that wait, where a picture is its share. So are
    `several` of anomalib's, side by side.
    """

    name: str
    ours: bool
    picture: Timing
    slower: float

    @property
    def several(self) -> bool:
        """Return whether it is several of anomalib's inferencers."""
        return not self.ours and self.name.endswith(_SIDE_BY_SIDE)


@dataclass(frozen=True, slots=True)
class PeerFigures:
    """All of them; our fastest, one by one or in a stream, must be so much faster than anomalib's fastest inferencer.

    Nothing of anomalib's puts several inferencers side by side, but anybody could: that is told, and not bound.
    """

    anomalib: str
    canvas_px: tuple[int, int]
    threads: int
    cores: int
    pictures: int
    runners: tuple[Runner, ...]
    machine: dict[str, Any] = field(default_factory=machine_facts)

    @property
    def times(self) -> float:
        """Return how many times as many pictures our fastest engine inspects as anomalib's fastest inferencer."""
        return min(one.slower for one in self.runners if not one.ours and not one.several)

    @property
    def times_several(self) -> float | None:
        """Return how many times as many as several inferencers side by side; None where there were none."""
        return min((one.slower for one in self.runners if one.several), default=None)

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """Return what must hold."""
        held = self.times >= LEAST_TIMES
        return (Bound(OURS, "over anomalib's fastest inferencer", f"{self.times:.2f}", f">= {LEAST_TIMES:g}", held),)

    @property
    def sound(self) -> bool:
        """Return whether every bound is held."""
        return all(bound.held for bound in self.bounds)

    def to_json(self) -> dict[str, Any]:
        """Return the figures under stable names."""
        bounds = [asdict(bound) for bound in self.bounds]
        times = {"times": self.times, "times_several": self.times_several}
        return {**asdict(self), **times, "bounds": bounds, "sound": self.sound}

    def tables(self) -> list[Table]:
        """Return the figures for people."""
        height_px, width_px = self.canvas_px
        title = f"From the JPEG on, {width_px}x{height_px}, {self.threads} threads on {self.cores} cores"
        several = self.times_several
        told = "" if several is None else f"; ours over several of its inferencers side by side: {several:.2f}"
        table = Table(title=title, title_justify="left", show_edge=False, caption=f"anomalib {self.anomalib}{told}")
        for heading in ("", "pictures/s", "p50 / p99 ms a picture", "slower than our fastest"):
            table.add_column(heading, justify="right")
        for one in self.runners:
            times = f"{one.picture.p50_ms:.1f} / {one.picture.p99_ms:.1f}"
            table.add_row(one.name, f"{one.picture.per_s:.1f}", times, f"{one.slower:.2f}")
        bounds = Table("", "", "measured", "bound", "", title_justify="left", show_edge=False)
        for bound in self.bounds:
            bounds.add_row(*bound.row)
        return [table, bounds]

    def chart(self) -> Chart:
        """Return all of them below each other."""
        bars = tuple(Bar(one.name, {"": 1 / one.slower}) for one in self.runners)
        panel = Panel("pictures a second, as shares of our fastest engine's", bars)
        note = f"anomalib {self.anomalib}, {machine_note(self.machine)}"
        return Chart("The same pictures, trunk, size and machine", (panel,), note)


def bench_peers(
    python: Path,
    *,
    size: Size,
    threads: int,
    cores: int,
    rounds: int,
    engines: Sequence[str],
    on_progress: Callable[[str, int, int], None],
) -> PeerFigures:
    """Let all take turns of a few pictures; `python` is an interpreter that has anomalib.

    Each of our engines is in a process of its own, and while one works all others wait. The trunk has the packaged
    weights, all see one canvas, and PatchCore keeps as many patches as `lite`. ConfigError says what the interpreter
    lacks.
    """
    version = anomalib_version(python)
    with ExitStack() as stack:
        used = stack.enter_context(on_cores(cores))
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="linewarden-peers-")))
        shown = frames(_DIFFERENT, size)
        canvas = _prepare(scratch, shown, size, engines, on_progress)
        ours = stack.enter_context(
            contenders(
                scratch / "model", shown, threads=threads, names=engines, on_progress=on_progress, as_built=False
            )
        )
        peers = []
        for done, method in enumerate(PEERS):
            on_progress("anomalib: export", done, len(PEERS))
            running = running_peers(python, scratch, method, coreset=LITE.bank_size, threads=threads, size=size)
            peers.append(stack.enter_context(running))
        on_progress("anomalib: export", len(PEERS), len(PEERS))
        taken: dict[str, list[list[int]]] = {}
        for turn in range(1 + rounds):
            found: dict[str, list[int]] = {}
            for side in ours:
                found |= _turn(side, turn)
            for one in peers:
                found |= {name: _in_ns(times) for name, times in one.turn(_EACH_TURN, STREAM).items()}
            if turn:
                for name, times in found.items():
                    taken.setdefault(name, []).append(times)
            on_progress("turns", turn, rounds)
    return PeerFigures(version, canvas, threads, used, rounds * _EACH_TURN, runners_of(taken))


def runners_of(taken_ns: Mapping[str, list[list[int]]]) -> tuple[Runner, ...]:
    """Return everybody's figures, ours first, from what each picture of the same turns took.

    A stream is one figure, the share of each picture.
    """
    ours = [name for name in taken_ns if name.startswith(OURS)]
    turns_ns = {name: [float(np.mean(turn)) for turn in turns] for name, turns in taken_ns.items()}
    fastest = min(ours, key=lambda name: float(np.median(turns_ns[name])))
    ordered = sorted(taken_ns, key=lambda name: (name not in ours, float(np.median(turns_ns[name]))))
    return tuple(
        Runner(name, name in ours, _timing(taken_ns[name]), ratio_of(turns_ns[name], turns_ns[fastest]))
        for name in ordered
    )


def _timing(turns_ns: list[list[int]]) -> Timing:
    # A stream shows all of them.
    different = 1 if len(turns_ns[0]) == 1 else _DIFFERENT
    return timing_of([one for turn in turns_ns for one in turn], different)


def _prepare(
    scratch: Path,
    shown: list[Frame],
    size: Size,
    engines: Sequence[str],
    on_progress: Callable[[str, int, int], None],
) -> tuple[int, int]:
    """Write our model and all that the peers read; return their canvas, (height, width)."""
    parts = scratch / "parts"
    station = ConveyorSettings(width_px=size.width_px, height_px=size.height_px)
    write_dataset(parts, station, train_good=_GOOD, test_good=0, test_each_defect=0)
    train([parts], profile=LITE, on_progress=on_progress).save(scratch / "model")
    export_all(scratch / "model", parts, on_progress, engines)
    canvas = canvas_for([(size.height_px, size.width_px)], LITE.sides_px[0])
    write_trunk(scratch)
    write_pictures(scratch / "train.npy", list_good(parts), canvas)
    (scratch / "pictures").mkdir()
    for number, frame in enumerate(shown):
        (scratch / "pictures" / f"{number:03}.jpg").write_bytes(frame.payload)
    return canvas


def _turn(side: Worker[Side], turn: int) -> dict[str, list[int]]:
    """Return what pictures take one of our engines one by one, and their share in a stream."""
    name = f"{OURS} {side.name}"
    stream_ns = side.ask(Side.stream, turn * STREAM)
    return {
        name: side.ask(Side.each, turn * _EACH_TURN, _EACH_TURN),
        f"{name}, in a stream": [stream_ns // STREAM],
    }


def _in_ns(times_ms: list[float]) -> list[int]:
    return [round(one * NS_PER_MS) for one in times_ms]
