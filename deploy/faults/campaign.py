"""`linewarden faults`: run the system, do the schedule's faults to it, let it settle, and audit what it left."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from deploy.adapters import make_bus, make_store
from deploy.faults.audit import Violation, audit, defaulted
from deploy.faults.evidence import Evidence, collect
from deploy.faults.explanation import Explanation, explain
from deploy.faults.injector import Injected, Injector
from deploy.faults.meddler import Meddler
from deploy.faults.schedule import FaultKind, schedule
from deploy.faults.starting import start_all
from deploy.faults.system import System, running_system
from deploy.machine import machine_facts
from deploy.model_making import progress_bar
from shared.clock import NS_PER_S, SystemClock
from shared.log import get_logger
from shared.store.base import Store

DEFAULT_ENTRY: Final = ("-m", "deploy.faults.role")
_SETTLE_S: Final = 90.0
_WATCH_S: Final = 0.25
_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class CampaignOptions:
    """How long, how many parts, and which kinds of faults are left out."""

    seed: int
    minutes: float
    model: Path
    parts_per_s: float = 9.0
    without: frozenset[FaultKind] = frozenset()
    entry: tuple[str, ...] = DEFAULT_ENTRY
    folder: Path | None = None
    standby: bool = False
    """Whether two alerting processes share the lines."""


@dataclass(frozen=True, slots=True)
class CampaignResult:
    """What was done, and what the audit says of it."""

    options: CampaignOptions
    faults: list[Injected]
    evidence: Evidence
    violations: list[Violation]
    explanation: Explanation
    surprises: list[str]
    """What went wrong beside the invariants: a role that ended by itself, or that did not settle or stop in time."""
    machine: dict[str, Any] = field(default_factory=machine_facts)

    @property
    def sound(self) -> bool:
        """Return whether nothing was broken, and every default has its fault."""
        return not (self.violations or self.surprises or self.explanation.unexplained)

    def to_json(self) -> dict[str, Any]:
        """Return the figures."""
        counters = self.evidence.counters.values()
        return {
            "seed": self.options.seed,
            "minutes": self.options.minutes,
            "standby": self.options.standby,
            "parts": len(self.evidence.announced),
            "passed": sum(line.passed for line in counters),
            "rejected": sum(line.rejected for line in counters),
            "defaulted": sum(line.defaulted for line in counters),
            "faults": dict(sorted(Counter(one.fault.name for one in self.faults).items())),
            "violations": [asdict(violation) for violation in self.violations],
            "surprises": self.surprises,
            "defaults_by_fault": dict(sorted(self.explanation.by_fault.items())),
            "defaults_unexplained": len(self.explanation.unexplained),
            "unexplained": [
                {"line": one.line, "part": one.part_id, "captured_at_ns": one.captured_at_ns, "reason": one.reason}
                for one in self.explanation.unexplained[:_SHOWN]
            ],
            "schedule": [
                {"fault": one.fault.name, "began_ns": one.began_ns, "healed_ns": one.healed_ns} for one in self.faults
            ],
            "recovery_s": dict(sorted(self.explanation.recovery_s.items())),
            "sound": self.sound,
            "machine": self.machine,
        }

    def table(self) -> Table:
        """Return the figures for people."""
        counts = Counter(one.fault.name for one in self.faults)
        title = f"{len(self.evidence.announced)} parts, {len(self.faults)} faults, {len(self.violations)} violations"
        table = Table(title=title, title_justify="left", show_edge=False)
        for heading in ("fault", "times", "defaults", "longest way back, s"):
            table.add_column(heading, justify="left" if heading == "fault" else "right")
        for name, times in sorted(counts.items()):
            recovery_s = self.explanation.recovery_s.get(name, 0.0)
            table.add_row(name, str(times), str(self.explanation.by_fault.get(name, 0)), f"{recovery_s:.1f}")
        table.add_row("none (unexplained)", "", str(len(self.explanation.unexplained)), "")
        return table


def run_campaign(options: CampaignOptions, console: Console) -> CampaignResult:
    """Run a campaign; raises `ServerError` for what this machine lacks, or a system that does not start."""
    if options.folder is not None:
        return asyncio.run(_Campaign(options, options.folder, console).run())
    with tempfile.TemporaryDirectory(prefix="linewarden-faults-") as scratch:
        return asyncio.run(_Campaign(options, Path(scratch), console).run())


class _Campaign:
    def __init__(self, options: CampaignOptions, folder: Path, console: Console) -> None:
        self._options = options
        self._folder = folder
        self._console = console
        self._clock = SystemClock()
        self._log = get_logger("faults")
        self._surprises: list[str] = []

    async def run(self) -> CampaignResult:
        options = self._options
        faults: list[Injected] = []
        async with AsyncExitStack() as stack:
            system = await stack.enter_async_context(
                running_system(
                    self._folder,
                    self._clock,
                    options.model,
                    parts_per_s=options.parts_per_s,
                    entry=options.entry,
                    full_disks=FaultKind.DISK_FULL not in options.without,
                    standby=options.standby,
                )
            )
            bus = make_bus(system.settings, self._clock)
            stack.push_async_callback(bus.close)
            store = make_store(system.settings)
            stack.push_async_callback(store.close)
            await start_all(system, store, self._clock)
            started_ns = self._clock.utc_ns()
            rng = random.Random(options.seed)  # noqa: S311 - repeatable on purpose, guards nothing
            meddler = Meddler(bus, system.settings.topics, self._clock, rng)
            injector = Injector(system, bus, meddler, log=self._log, rng=rng)
            async with asyncio.TaskGroup() as tasks:
                listening = tasks.create_task(meddler.listen())
                await self._disturb(system, injector, faults)
                await self._settle(system, store, meddler)
                listening.cancel()
            logs = {line: plc.log for line, plc in system.plcs.items()}
            evidence = await collect(system.settings, bus, store, logs)
        explanation = explain(evidence, defaulted(evidence), faults, started_ns=started_ns)
        return CampaignResult(options, faults, evidence, audit(evidence), explanation, self._surprises)

    async def _disturb(self, system: System, injector: Injector, faults: list[Injected]) -> None:
        planned = list(schedule(self._options.seed, self._options.minutes, without=self._options.without))
        began_ns = self._clock.monotonic_ns()
        with progress_bar(self._console) as progress:
            bar = progress.add_task("seconds", total=round(self._options.minutes * 60))
            while (at_s := (self._clock.monotonic_ns() - began_ns) / NS_PER_S) < self._options.minutes * 60:
                progress.update(bar, completed=round(at_s))
                self._revive(system)
                if planned and planned[0].at_s <= at_s:
                    faults.append(await injector.inject(planned.pop(0)))
                else:
                    await self._clock.sleep(_WATCH_S)

    def _revive(self, system: System) -> None:
        """Start again what ended by itself, as a plant's supervisor would, and remember that it did."""
        for name in system.ended():
            process = system.processes[name]
            self._surprises.append(f"{name} ended with {process.exit_status}: {process.log_tail()[-300:]}")
            system.start(name)

    async def _settle(self, system: System, store: Store, meddler: Meddler) -> None:
        """Let no more parts in, wait until all frames are answered and all parts through the gate; stop the rest."""
        late = await system.stop(system.roles["ingest"])
        deadline_ns = self._clock.monotonic_ns() + round(_SETTLE_S * NS_PER_S)
        while meddler.unanswered or not await _all_settled(system, store):
            if self._clock.monotonic_ns() > deadline_ns:
                text = (
                    f"the lines did not settle within {_SETTLE_S:g} s; frames without a verdict: {meddler.unanswered}"
                )
                self._surprises.append(text)
                break
            await self._clock.sleep(_WATCH_S)
        late += await system.stop(system.roles["detector"]) + await system.stop(system.roles["alerting"])
        self._surprises += [f"{name} had to be killed at the end" for name in late]
        self._surprises += system.failed_lines()


async def _all_settled(system: System, store: Store) -> bool:
    if any(plc.counters().on_belt for plc in system.plcs.values()):
        return False
    for line in system.settings.lines:
        counters = await store.counters(line.name)
        if counters.announced != counters.settled:
            return False
    return True
