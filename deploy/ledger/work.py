"""The work behind `linewarden ledger`: read a journal or a topic, verify it, count it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from deploy.adapters import make_bus, make_store
from deploy.ledger.sources import Reader, read_journal, read_topic
from deploy.ledger.tally import Tally
from shared.bus.base import Bus
from shared.clock import NS_PER_S, SystemClock
from shared.domain import PartAnnouncement
from shared.errors import ConfigError, WireError
from shared.ledger.chain import Link
from shared.ledger.faults import ChainEnd, Findings
from shared.ledger.verifier import Verifier
from shared.partition_plan import PartitionPlan
from shared.plan_keeper import PlanKeeper
from shared.settings import LineSettings, Settings, load
from shared.shifts import Shifts, zone_of
from shared.store.base import Store
from shared.wire import decode, kind_of

_LATE_NS: Final = 60 * NS_PER_S
"""How long after its gate a part's record may still come: one whose gate never answered is asked for a while."""


@dataclass(frozen=True, slots=True)
class Where:
    """A journal's folder, or the topic of `settings`; both where the journal's lines are in the settings."""

    journal: Path | None
    settings: Settings | None

    @classmethod
    def of(cls, journal: Path | None, config: Path | None) -> Where:
        """Say where to read; `ConfigError` where nothing tells it."""
        settings = None if config is None else load(config)
        if journal is None and settings is not None and settings.bus.embedded:
            journal = settings.alerting.journal
            if journal is None:
                raise ConfigError(
                    "the bus memory:// ends with its process, and alerting.journal is not set",
                    "Set alerting.journal, or use kafka://.",
                )
        if journal is None and settings is None:
            raise ConfigError("nothing says which ledger", "Give a journal's folder, or --config FILE.")
        return cls(journal, settings)


def verify(where: Where, against: Path | None) -> Findings:
    """Verify all that is there; `against` is the JSON of an earlier verification."""
    ends = () if against is None else _ends(against)
    verifier = Verifier()
    newest = asyncio.run(_read(where, [verifier], None))
    return verifier.findings(ends, newest)


def tally(where: Where) -> Tally:
    """Count all that is there."""
    lines = () if where.settings is None else where.settings.lines
    shifts = {line.name: line.shift_times() for line in lines}
    counted = Tally(shifts, default=Shifts((), zone_of("UTC")))
    asyncio.run(_read(where, [counted], counted))
    return counted


def findings_json(found: Findings) -> dict[str, Any]:
    """Return what was found under stable names."""
    return {
        "records": found.records,
        "repeated": found.repeated,
        "faults": [asdict(fault) for fault in found.faults],
        "notes": list(found.notes),
        "ends": [asdict(end) for end in found.ends],
    }


def _ends(path: Path) -> list[ChainEnd]:
    try:
        return [ChainEnd(**end) for end in json.loads(path.read_text(encoding="utf-8"))["ends"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{str(path)!r} holds no ends of chains: {error}", "Give a file that `ledger verify --json` wrote."
        ) from None


async def _read(where: Where, readers: Sequence[Reader], counted: Tally | None) -> list[tuple[str, Link]]:
    """Tell `readers` all records, and `counted` all announcements; return the newest records that the store holds."""
    if where.journal is not None:
        read_journal(where.journal, readers)
        return []
    if where.settings is None:
        raise AssertionError("a ledger lies somewhere")
    settings = where.settings
    async with _connected(settings) as (bus, store, plan):
        lines = [line.name for line in settings.lines if line.name in plan.lines]
        # Before the topic: what is settled meanwhile is no fault.
        heads = [(line, head.link) for line in lines if (head := await store.ledger_head(line)) is not None]
        await read_topic(bus, settings.topics, plan, lines, readers)
        if counted is not None:
            for line in settings.lines:
                if line.name in plan.lines:
                    await _read_announcements(bus, settings, plan, line, counted)
    return [] if settings.store.embedded else [(line, link) for line, link in heads if link is not None]


async def _read_announcements(
    bus: Bus, settings: Settings, plan: PartitionPlan, line: LineSettings, counted: Tally
) -> None:
    now_ns = SystemClock().utc_ns()
    async with aclosing(bus.history(settings.topics.captures, plan.of_line(line.name))) as messages:
        async for message in messages:
            if kind_of(message.value) is not PartAnnouncement:
                continue
            try:
                part, _ = decode(PartAnnouncement, message.value)
            except WireError:
                continue
            counted.announced(part, now_ns=now_ns, within_ns=line.gate_delay_ns + _LATE_NS, product=line.product)


@asynccontextmanager
async def _connected(settings: Settings) -> AsyncIterator[tuple[Bus, Store, PartitionPlan]]:
    bus, store = make_bus(settings, SystemClock()), make_store(settings)
    try:
        yield bus, store, await PlanKeeper(store, settings.topics).read()
    finally:
        await bus.close()
        await store.close()
