"""`linewarden bench rtsp`: what RTSP cameras must keep to, measured against real servers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

from rich.table import Table

from deploy import rtsp_trials as trials
from deploy.machine import machine_facts
from deploy.rtsp_trials import Fault, Many
from deploy.rtsp_watch import Latency

_FPS: Final = 25
_MANY: Final = 16
_MANY_FPS: Final = 5
_P95_MS: Final = 100.0
_NOTICED_S: Final = 2.0
_KEPT: Final = 0.98
# What two halves of one run differ by when nothing happens.
_UNCHANGED_MS: Final = 10.0


@dataclass(frozen=True, slots=True)
class RtspFigures:
    """What was measured; `latencies` by codec."""

    latencies: dict[str, Latency]
    faults: tuple[Fault, ...]
    many: Many

    def missed(self) -> list[str]:
        """Return each bound that was missed, in words."""
        found = [
            f"{codec}: p95 of {latency.p95_ms:g} ms, not below {_P95_MS:g} ms"
            for codec, latency in self.latencies.items()
            if latency.p95_ms >= _P95_MS
        ]
        found += [
            f"{fault.name}: noticed after {fault.noticed_s:g} s as {fault.cause}, not as {fault.expected} within "
            f"{_NOTICED_S:g} s"
            for fault in self.faults
            if fault.noticed_s >= _NOTICED_S or fault.cause is not fault.expected
        ]
        many = self.many
        if many.slowest_fps < many.fps * _KEPT:
            found.append(f"{many.cameras} cameras: one gave {many.slowest_fps:g} pictures a second, not {many.fps}")
        if many.without_picture:
            found.append(f"{many.cameras} cameras: {many.without_picture} exposures without a picture")
        if many.during.p95_ms > many.before.p95_ms + _UNCHANGED_MS:
            found.append(
                f"a frozen camera: the others' p95 went from {many.before.p95_ms:g} ms to {many.during.p95_ms:g} ms"
            )
        return found

    def tables(self) -> list[Table]:
        """Return the figures for people."""
        latency = Table(title=f"Glass to ingest, ms ({trials.WIDTH_PX}x{trials.HEIGHT_PX})", title_justify="left")
        for heading in ("", "pictures", "p50", "p95", "p99", "exposure time off by"):
            latency.add_column(heading, justify="left" if not heading else "right")
        many = self.many
        rows = {f"{codec}, {_FPS} a second": row for codec, row in self.latencies.items()}
        rows[f"{many.cameras} cameras, {many.fps} a second"] = many.before
        rows["the others, while one is frozen"] = many.during
        for name, row in rows.items():
            off = "" if row.captured_off_ms is None else f"{row.captured_off_ms}"
            latency.add_row(name, str(row.pictures), f"{row.p50_ms:g}", f"{row.p95_ms:g}", f"{row.p99_ms:g}", off)
        latency.caption = (
            f"{many.cameras} cameras: the slowest gave {many.slowest_fps:g} a second, the process took "
            f"{many.cpu_percent:g} % of one core"
        )
        faults = Table(title="Faults", title_justify="left")
        for heading in ("what", "told as", "noticed, s", "read again, s"):
            faults.add_column(heading, justify="left" if heading in {"what", "told as"} else "right")
        for fault in self.faults:
            faults.add_row(fault.name, fault.cause or "a change", f"{fault.noticed_s:.2f}", f"{fault.back_s:.2f}")
        return [latency, faults]

    def to_json(self) -> dict[str, Any]:
        """Return every figure, JSON-ready, with the machine and the bounds that were missed."""
        return {"machine": machine_facts(), **asdict(self), "missed": self.missed()}


async def bench_rtsp(*, seconds: float, rounds: int, on_step: Callable[[str], None]) -> RtspFigures:
    """Measure each part for so many seconds, and each fault so many times; of a fault the slowest round is kept."""
    latencies = {}
    for codec in ("h264", "h265", "mjpeg"):
        on_step(f"latency of {codec}")
        latencies[codec] = await trials.measure_latency(codec, fps=_FPS, seconds=seconds)
    faults = []
    for trial in (trials.killed, trials.frozen, trials.turned, trials.refused):
        on_step(f"fault: {trial.__name__}")
        faults.append(max([await trial() for _ in range(rounds)], key=lambda fault: fault.noticed_s))
    on_step(f"{_MANY} cameras, then one of them frozen")
    return RtspFigures(latencies, tuple(faults), await trials.many(cameras=_MANY, fps=_MANY_FPS, seconds=seconds))
