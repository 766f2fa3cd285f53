"""`linewarden bench frames`: large frames through Kafka, beside the broker's own performance tools in one run."""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from deploy.machine import machine_facts
from deploy.servers.jvm import find_java
from deploy.servers.kafka import KafkaServer
from deploy.servers.kafka_jars import kafka_tools_home
from deploy.stream.frame_worker import MAX_MESSAGE_BYTES, PARTITIONS
from shared.bus.kafka import KafkaBus, KafkaBusSettings
from shared.errors import ServerError

_LIMIT_S: Final = 300
_WARM_UP: Final = 50
_PRODUCED: Final = re.compile(r"([\d.]+) records/sec")


@dataclass(frozen=True, slots=True)
class Side:
    """Frames a second of one side, ours and the tool's, as medians over the rounds; processor time is ours."""

    side: str
    ours_fps: float
    tool_fps: float
    processor_ms: float

    @property
    def ratio(self) -> float:
        """Return ours over the tool's."""
        return self.ours_fps / self.tool_fps


@dataclass(frozen=True, slots=True)
class FrameFigures:
    """Both sides, each measured alone on a broker that has nothing else to do."""

    frame_bytes: int
    count: int
    rounds: int
    sides: tuple[Side, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the figures."""
        ratios = {side.side: side.ratio for side in self.sides}
        return {**asdict(self), "ratios": ratios, "machine": machine_facts()}

    def table(self) -> Table:
        """Return the figures for people."""
        title = f"Frames of {self.frame_bytes / 1000:.0f} KB, {PARTITIONS} cameras, median of {self.rounds} rounds"
        table = Table(title=title, title_justify="left", show_edge=False)
        for heading in ("side", "frames/s", "MB/s", "Kafka's own tool, frames/s", "ratio", "processor, ms a frame"):
            table.add_column(heading, justify="right")
        for one in self.sides:
            table.add_row(
                one.side,
                f"{one.ours_fps:.0f}",
                f"{one.ours_fps * self.frame_bytes / 1e6:.0f}",
                f"{one.tool_fps:.0f}",
                f"{one.ratio:.2f}",
                f"{one.processor_ms:.2f}",
            )
        return table


def frame_throughput(*, size: int, count: int, rounds: int) -> FrameFigures:
    """Let our two sides and the two tools take turns; raises `ServerError` for what this machine lacks."""
    with (
        tempfile.TemporaryDirectory(prefix="linewarden-frames-") as folder,
        KafkaServer(Path(folder) / "kafka") as kafka,
    ):
        rates: dict[str, list[float]] = {name: [] for name in ("send", "take", "send-tool", "take-tool")}
        processor_ms: dict[str, list[float]] = {"send": [], "take": []}
        for turn in range(rounds):
            for kind in ("ours", "tool"):
                topic = f"frames-{kind}-{turn}"
                asyncio.run(_make_topic(kafka.url, topic))
                for side in ("send", "take"):
                    if kind == "tool":
                        rates[f"{side}-tool"].append(_tool(side, kafka.bootstrap, topic, count, size))
                        continue
                    argv = [sys.executable, "-m", "deploy.stream.frame_worker", side, kafka.url, topic]
                    done = json.loads(_output([*argv, str(count), str(size)]))
                    rates[side].append(done["frames"] / done["wall_s"])
                    processor_ms[side].append(done["processor_s"] / done["frames"] * 1_000)
    median = statistics.median
    sides = tuple(
        Side(side, median(rates[side]), median(rates[f"{side}-tool"]), median(processor_ms[side]))
        for side in ("send", "take")
    )
    return FrameFigures(size, count, rounds, sides)


async def _make_topic(url: str, topic: str) -> None:
    bus = KafkaBus(KafkaBusSettings.from_url(url, max_message_bytes=MAX_MESSAGE_BYTES))
    await bus.ensure_topics({topic: PARTITIONS})
    await bus.close()


def _tool(side: str, bootstrap: str, topic: str, count: int, size: int) -> float:
    """Return the records a second that Kafka's own tool says it reached."""
    java = [str(find_java()), "-Xmx512m", "-cp", f"{kafka_tools_home() / 'jars'}/*"]
    where = ["--bootstrap-server", bootstrap, "--topic", topic]
    if side == "send":
        options = ["--record-size", str(size), "--throughput", "-1", "--warmup-records", str(_WARM_UP)]
        properties = ["--command-property", "acks=all", f"max.request.size={MAX_MESSAGE_BYTES}"]
        tool = "org.apache.kafka.tools.ProducerPerformance"
        text = _output([*java, tool, *where, "--num-records", str(count), *options, *properties])
        return float(_PRODUCED.findall(text)[-1])
    tool = "org.apache.kafka.tools.ConsumerPerformance"
    text = _output([*java, tool, *where, "--num-records", str(count), "--hide-header", "--timeout", "60000"])
    # start, end, MB, MB/s, records, records/s, rebalance ms, fetch ms, fetch MB/s, fetch records/s
    return float(text.strip().splitlines()[-1].split(",")[9])


def _output(argv: list[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=_LIMIT_S)
    if done.returncode:
        raise ServerError(f"{' '.join(argv[:4])} ended with {done.returncode}: {done.stderr[-500:]}", "See above.")
    return done.stdout
