"""A whole system on loopback that faults can be injected into: servers, networks, PLCs, and each role as a process."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from alerting.plc_sim.gate_log import GateOutcome
from alerting.plc_sim.server import PlcServer
from alerting.plc_sim.simulator import GateSimulator
from alerting.service import LINE_FAILED
from deploy.faults.disk import Disk
from deploy.faults.link import Link
from deploy.faults.role import step
from deploy.faults.settings import LINES, SystemConfig
from deploy.servers.base import LoopbackServer
from deploy.servers.child import ChildProcess
from deploy.servers.kafka import KafkaServer
from deploy.servers.redis import RedisServer
from shared.clock import Clock
from shared.domain import GateMode
from shared.plc import PlcCounters
from shared.settings import Settings, load

_STOP_S: Final = 15.0
_REMEMBERED: Final = 100_000


@dataclass
class Plc:
    """A line's PLC, the network to it, and its own log of what the gate did."""

    server: PlcServer
    simulator: GateSimulator
    link: Link
    log: list[GateOutcome] = field(default_factory=list)

    def counters(self) -> PlcCounters:
        """Return its counters as of now."""
        self.simulator.tick()
        return self.simulator.counters()


@dataclass
class System:
    """What runs, by name. `entry` is how Python starts a role."""

    folder: Path
    clock: Clock
    entry: tuple[str, ...]
    servers: dict[str, LoopbackServer]
    disks: dict[str, Disk]
    links: dict[str, Link]
    plcs: dict[str, Plc]
    settings: Settings
    roles: dict[str, tuple[str, ...]]
    """The processes of each role."""
    processes: dict[str, ChildProcess] = field(default_factory=dict)

    def start(self, name: str) -> None:
        """Start a role's process."""
        role = next(role for role, names in self.roles.items() if name in names)
        argv = [sys.executable, *self.entry, str(self.config(name)), role, str(self.clock_file(role))]
        self.processes[name] = ChildProcess(argv, self.folder / f"{name}.log")

    def config(self, name: str) -> Path:
        """Return the settings file of a process."""
        return self.folder / f"{name}.toml"

    def clock_file(self, role: str) -> Path:
        """Return what sets the wall clock of a role."""
        return self.folder / f"{role}.clock"

    def ended(self) -> list[str]:
        """Return the processes that should run and do not."""
        return [name for name, process in self.processes.items() if not process.running]

    def failed_lines(self) -> list[str]:
        """Return what alerting said of lines whose service ended by an error, and began anew."""
        return [
            f"{name}: {entry}"
            for name in self.roles["alerting"]
            for entry in (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace").splitlines()
            if LINE_FAILED in entry
        ]

    async def stop(self, names: Sequence[str]) -> list[str]:
        """Stop processes in order; return those that had to be killed."""
        done = await asyncio.gather(
            *(asyncio.to_thread(self.processes[name].stop, _STOP_S) for name in names if name in self.processes)
        )
        stopped = [name for name in names if name in self.processes]
        for name in stopped:
            del self.processes[name]
        return [name for name, orderly in zip(stopped, done, strict=True) if not orderly]


@asynccontextmanager
async def running_system(
    folder: Path,
    clock: Clock,
    model: Path,
    *,
    parts_per_s: float,
    entry: tuple[str, ...],
    full_disks: bool,
    standby: bool,
) -> AsyncIterator[System]:
    """Start servers, PLCs and networks in `folder`, with settings for each role; whatever still runs ends with it.

    Raises `ServerError` for what this machine lacks.
    """
    async with AsyncExitStack() as stack:
        disks = {}
        for name in ("kafka", "redis") if full_disks else ():
            disks[name] = stack.enter_context(Disk(folder / f"{name}-disk"))
        kafka_link = Link(clock)
        redis_link = Link(clock)
        kafka = KafkaServer(folder / "kafka-disk" / "data", advertised_port=kafka_link.port)
        redis = RedisServer(folder / "redis-disk" / "data")
        for server in (kafka, redis):
            stack.callback(server.stop)
            await asyncio.to_thread(server.start)
        links = {"kafka": kafka_link, "redis": redis_link}
        for link, port in ((kafka_link, kafka.port), (redis_link, redis.port)):
            await _serve(stack, link, port)
        plcs = {line: await _plc(stack, clock) for line in LINES}
        config = SystemConfig(
            bus=f"kafka://127.0.0.1:{kafka_link.port}",
            store=f"redis://127.0.0.1:{redis_link.port}/0",
            plcs={line: f"modbus://127.0.0.1:{plc.link.port}" for line, plc in plcs.items()},
            model=model,
            parts_per_s=parts_per_s,
            standby=standby,
        )
        roles = {
            "ingest": ("ingest",),
            "detector": ("detector-0", "detector-1"),
            "alerting": ("alerting-0", "alerting-1") if standby else ("alerting-0",),
        }
        for role, names in roles.items():
            step(folder / f"{role}.clock", 0.0)
            for name in names:
                config.write(folder / f"{name}.toml", member=name)
        system = System(
            folder=folder,
            clock=clock,
            entry=entry,
            servers={"kafka": kafka, "redis": redis},
            disks=disks,
            links=links,
            plcs=plcs,
            settings=load(folder / "alerting-0.toml"),
            roles=roles,
        )
        try:
            yield system
        finally:
            for process in system.processes.values():
                process.kill()


async def _plc(stack: AsyncExitStack, clock: Clock) -> Plc:
    log: list[GateOutcome] = []
    simulator = GateSimulator(GateMode.PASS_ASSERTED, clock, remembered_parts=_REMEMBERED, on_outcome=log.append)
    server = PlcServer(simulator, clock=clock)
    await server.start()
    stack.push_async_callback(server.stop)
    link = Link(clock)
    await _serve(stack, link, int(server.url.rpartition(":")[2]))
    return Plc(server, simulator, link, log)


async def _serve(stack: AsyncExitStack, link: Link, target_port: int) -> None:
    await link.start(target_port)
    stack.push_async_callback(link.stop)
