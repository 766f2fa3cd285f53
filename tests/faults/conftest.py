"""Whole lines as processes: what the fault tests start, watch and kill."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest

from alerting.plc_sim.server import PlcServer
from alerting.plc_sim.simulator import GateSimulator
from alerting.signals.counters import read_counters
from deploy.line_config import LineConfig
from shared.bus.kafka import KafkaBus, KafkaBusSettings
from shared.clock import SystemClock
from shared.domain import Decision, GateMode
from shared.plc import PlcCounters
from shared.settings import Settings, load
from shared.store.base import LineCounters
from shared.store.redis import RedisStore
from shared.store.settings import StoreSettings
from shared.topics import Topics
from shared.wire import decode

CLOCK = SystemClock()
LINE = "line-1"


@dataclass
class RunningLine:
    """The processes of one line, and the ways to look at it from the outside: store, topics, PLC."""

    config: Path
    settings: Settings
    plc: PlcServer
    store: RedisStore
    folder: Path
    processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    async def start(self, role: str) -> None:
        """Start a role as a process of its own; its output goes to a file."""
        with (self.folder / f"{role}.log").open("ab") as log:
            self.processes[role] = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "deploy.cli", "run", "--config", str(self.config), "--role", role,
                stdout=log, stderr=log,
            )  # fmt: skip

    async def kill9(self, role: str) -> None:
        """Kill a role as a crash would."""
        process = self.processes.pop(role)
        process.kill()
        await process.wait()

    async def ended(self, role: str, within_s: float) -> int:
        """Wait for a role to end by itself; return its exit code."""
        return await asyncio.wait_for(self.processes.pop(role).wait(), within_s)

    async def interrupt(self, role: str, within_s: float) -> int:
        """Stop a role in order; return its exit code."""
        self.processes[role].terminate()
        return await self.ended(role, within_s)

    async def counters(self) -> LineCounters:
        """Return the ledger's counts."""
        return await self.store.counters(LINE)

    async def until(self, reached: Callable[[LineCounters], bool], *, within_s: float) -> LineCounters:
        """Watch the ledger until `reached`; fail with its last state and the roles' output otherwise."""
        deadline_ns = CLOCK.monotonic_ns() + round(within_s * 1e9)
        while not reached(counters := await self.counters()):
            if CLOCK.monotonic_ns() > deadline_ns:
                pytest.fail(f"not reached within {within_s} s: {counters}\n{self.output()}")
            await CLOCK.sleep(0.05)
        return counters

    def output(self) -> str:
        """Return what the roles printed."""
        return "\n".join(
            f"--- {path.name}\n{path.read_text(encoding='utf-8')[-2_000:]}"
            for path in sorted(self.folder.glob("*.log"))
        )

    async def plc_counters(self) -> PlcCounters:
        """Return the PLC's own counts."""
        return await read_counters(self.plc.url)

    async def decisions(self) -> list[Decision]:
        """Return the whole `decisions` topic."""
        return await read_decisions(self.settings)

    async def close(self) -> None:
        """End what still runs."""
        for process in self.processes.values():
            if process.returncode is None:
                process.kill()
            await process.wait()
        await self.store.close()


async def read_decisions(settings: Settings) -> list[Decision]:
    """Read every record of the `decisions` topic on Kafka from its beginning."""
    bus = KafkaBus(KafkaBusSettings.from_url(settings.bus.url.get_secret_value(), max_message_bytes=8 * 2**20))
    topics = Topics(settings.bus.topic_prefix)
    auditor = await bus.subscribe([topics.decisions], group=f"audit-{uuid4().hex}", member="audit")
    found: list[Decision] = []
    try:
        quiet = 0
        while quiet < 3:
            records = await auditor.poll(max_records=500, timeout_s=1.0)
            quiet = 0 if records else quiet + 1
            found.extend(decode(Decision, record.value)[0] for record in records)
    finally:
        await auditor.close()
        await bus.close()
    return found


@pytest.fixture
async def line(
    tmp_path: Path, kafka_url: str, redis_url: str, lite_model: Path
) -> AsyncIterator[Callable[..., Awaitable[RunningLine]]]:
    """Prepare lines of rendered parts on real Kafka, real Redis and Modbus TCP; whatever still runs is ended."""
    async with _lines(tmp_path, kafka_url, redis_url, lite_model) as prepare:
        yield prepare


@asynccontextmanager
async def _lines(
    folder: Path, kafka_url: str, redis_url: str, model: Path
) -> AsyncIterator[Callable[..., Awaitable[RunningLine]]]:
    running: list[RunningLine] = []

    async def prepare(*, parts: int, rate_hz: float = 10.0) -> RunningLine:
        plc = PlcServer(GateSimulator(GateMode.PASS_ASSERTED, CLOCK), clock=CLOCK)
        await plc.start()
        run = f"fault-{uuid4().hex[:12]}"
        config = folder / "line.toml"
        LineConfig(
            bus=kafka_url,
            store=redis_url,
            plc=plc.url,
            run=run,
            model=model,
            source="rendered",
            rate_hz=rate_hz,
            limit=parts,
            slate=False,
        ).write(config)
        settings = load(config)
        store = RedisStore.from_url(redis_url, StoreSettings(key_prefix=run))
        line = RunningLine(config, settings, plc, store, folder)
        running.append(line)
        return line

    try:
        yield prepare
    finally:
        for line in running:
            await line.close()
            await line.plc.stop()
