"""What `bench rtsp` fails by."""

from __future__ import annotations

from dataclasses import replace

from deploy.rtsp_bench import RtspFigures
from deploy.rtsp_trials import Fault, Many
from deploy.rtsp_watch import Latency
from shared.errors import LossCause

GOOD = RtspFigures(
    latencies={"h264": Latency(100, 12.0, 23.0, 30.0, 2)},
    faults=(Fault("frozen", LossCause.STALLED, LossCause.STALLED, 1.5, 0.6),),
    many=Many(
        cameras=16,
        fps=5,
        slowest_fps=4.97,
        without_picture=0,
        cpu_percent=40.0,
        before=Latency(1_000, 12.0, 25.0, 30.0, 2),
        during=Latency(1_000, 12.0, 27.0, 31.0, 2),
    ),
)


def test_figures_within_their_bounds_miss_none() -> None:
    """A run that keeps all bounds is sound, and shows all its figures."""
    assert GOOD.missed() == []
    assert GOOD.to_json()["missed"] == []
    assert [table.row_count for table in GOOD.tables()] == [3, 1]


def test_each_missed_bound_is_named() -> None:
    """Latency, lateness, another cause, lost pictures and a disturbed neighbour are each told."""
    slow = replace(GOOD, latencies={"h264": Latency(100, 12.0, 100.0, 300.0, 2)})
    assert "p95 of 100 ms" in slow.missed()[0]
    late = replace(GOOD, faults=(replace(GOOD.faults[0], noticed_s=2.0),))
    assert "noticed after 2 s" in late.missed()[0]
    mistaken = replace(GOOD, faults=(replace(GOOD.faults[0], cause=LossCause.UNREADABLE),))
    assert "as unreadable, not as stalled" in mistaken.missed()[0]
    few = replace(GOOD, many=replace(GOOD.many, slowest_fps=4.0))
    assert "4 pictures a second" in few.missed()[0]
    blind = replace(GOOD, many=replace(GOOD.many, without_picture=3))
    assert "3 exposures without a picture" in blind.missed()[0]
    disturbed = replace(GOOD, many=replace(GOOD.many, during=Latency(1_000, 12.0, 60.0, 90.0, 2)))
    assert "from 25 ms to 60 ms" in disturbed.missed()[0]
