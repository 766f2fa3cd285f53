"""Faults done to a running system, and undone."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from deploy.faults.link import Link
from deploy.faults.meddler import Meddler
from deploy.faults.role import step
from deploy.faults.schedule import Fault, FaultKind
from deploy.faults.system import System
from deploy.servers.base import LoopbackServer
from deploy.servers.child import ChildProcess
from shared.bus.base import Bus
from shared.log import Logger

_SLOW_S: Final = (0.05, 0.3)
_STEP_S: Final = (2.0, 20.0)
_STORM: Final = 3


@dataclass(frozen=True, slots=True)
class Injected:
    """A fault as it was: from `began_ns` to `healed_ns`, UTC, by when what it had killed ran again."""

    fault: Fault
    began_ns: int
    healed_ns: int


class Injector:
    """Does one fault at a time."""

    def __init__(self, system: System, bus: Bus, meddler: Meddler, *, log: Logger, rng: random.Random) -> None:
        self._system = system
        self._bus = bus
        self._meddler = meddler
        self._clock = system.clock
        self._log = log
        self._rng = rng
        self._storms = 0
        self._acts: dict[FaultKind, Callable[[Fault], Awaitable[None]]] = {
            FaultKind.KILL: self._kill,
            FaultKind.FREEZE: self._freeze,
            FaultKind.CUT: self._cut,
            FaultKind.SLOW: self._slow,
            FaultKind.DUPLICATE: lambda _: meddler.duplicate(),
            FaultKind.REORDER: lambda _: meddler.reorder(),
            FaultKind.CORRUPT: lambda _: meddler.corrupt(),
            FaultKind.DISK_FULL: self._fill_disk,
            FaultKind.CLOCK_STEP: self._step_clock,
            FaultKind.REBALANCE: self._storm,
        }

    async def inject(self, fault: Fault) -> Injected:
        """Do it, wait, undo it."""
        began_ns = self._clock.utc_ns()
        self._log.info("fault.began", fault=fault.name, for_s=fault.for_s)
        await self._acts[fault.kind](fault)
        self._log.info("fault.healed", fault=fault.name)
        return Injected(fault, began_ns, self._clock.utc_ns())

    async def _kill(self, fault: Fault) -> None:
        server = self._system.servers.get(fault.target)
        if server is not None:
            await asyncio.to_thread(server.kill9)
            await self._clock.sleep(fault.for_s)
            await asyncio.to_thread(server.start)
            return
        name = self._rng.choice(self._system.roles[fault.target])
        self._system.processes.pop(name).kill()
        await self._clock.sleep(fault.for_s)
        self._system.start(name)

    async def _freeze(self, fault: Fault) -> None:
        frozen: list[LoopbackServer | ChildProcess] = []
        if fault.target in self._system.servers:
            frozen.append(self._system.servers[fault.target])
        elif fault.target in self._system.roles:
            frozen.append(self._system.processes[self._rng.choice(self._system.roles[fault.target])])
        for one in frozen:
            one.freeze()
        plcs = self._system.plcs.values() if fault.target == "plc" else ()
        for plc in plcs:
            plc.server.freeze()
        await self._clock.sleep(fault.for_s)
        for plc in plcs:
            plc.server.thaw()
        for one in frozen:
            one.thaw()

    async def _cut(self, fault: Fault) -> None:
        for link in self._links(fault):
            link.cut()
        await self._clock.sleep(fault.for_s)
        for link in self._links(fault):
            link.heal()

    async def _slow(self, fault: Fault) -> None:
        delay_s = self._rng.uniform(*_SLOW_S)
        for link in self._links(fault):
            link.slow(delay_s)
        await self._clock.sleep(fault.for_s)
        for link in self._links(fault):
            link.heal()

    def _links(self, fault: Fault) -> list[Link]:
        if fault.target == "plc":
            return [plc.link for plc in self._system.plcs.values()]
        return [self._system.links[fault.target]]

    async def _fill_disk(self, fault: Fault) -> None:
        disk, server = self._system.disks[fault.target], self._system.servers[fault.target]
        disk.fill()
        await self._clock.sleep(fault.for_s)
        disk.free()
        if not server.running:
            # A broker ends when it cannot write; its operator makes room and starts it again.
            await asyncio.to_thread(server.kill9)
            await asyncio.to_thread(server.start)

    async def _step_clock(self, fault: Fault) -> None:
        clock_file = self._system.clock_file(fault.target)
        step(clock_file, self._rng.choice((-1, 1)) * self._rng.uniform(*_STEP_S))
        await self._clock.sleep(fault.for_s)
        step(clock_file, 0.0)

    async def _storm(self, fault: Fault) -> None:
        """Let members join the detectors' group that do nothing, and go away again."""
        topics = self._system.settings.topics
        for _ in range(_STORM):
            self._storms += 1
            guest = await self._bus.subscribe(
                [topics.frames], group=topics.group("detector"), member=f"guest-{self._storms}"
            )
            await self._clock.sleep(fault.for_s / _STORM)
            await guest.close()
