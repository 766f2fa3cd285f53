"""What `linewarden policy` works with: a line's settings, its policy in the store, and its recorded verdicts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import Final

from alerting.policy_preview import by_part, from_decisions
from deploy.adapters import make_bus, make_store
from shared.bus.base import Bus
from shared.clock import NS_PER_MS, Clock, SystemClock
from shared.domain import Verdict
from shared.errors import ConfigError, WireError
from shared.plan_keeper import PlanKeeper
from shared.policy import LinePolicy, policy_from_json
from shared.policy_keeper import PolicyKeeper
from shared.settings import LineSettings, Settings
from shared.store.base import Store
from shared.wire import VerdictMessage, decode

_STRADDLING: Final = 500
"""How many parts may lie, with their verdicts, between the first and the last verdict of one."""
_PICTURED: Final = 4
"""One verdict in so many may have a picture for which all those are found that are wanted."""
_WAIT_S: Final = 3.0
_FRESH_NS: Final = 5_000 * NS_PER_MS


@dataclass(frozen=True, slots=True)
class LineDesk:
    """A line, its policy in the store, and the store itself."""

    settings: Settings
    line: LineSettings
    store: Store
    keeper: PolicyKeeper

    @property
    def cameras(self) -> tuple[str, ...]:
        """Return the names of the line's cameras."""
        return tuple(camera.name for camera in self.line.cameras)

    async def standing(self) -> tuple[int, LinePolicy]:
        """Return the version and the policy that stand."""
        change = await self.keeper.standing()
        return (0, self.line.policy) if change is None else (change.version, policy_from_json(change.new))

    async def taken(self, version: int, clock: Clock) -> float | None:
        """Return after how many seconds a running service judged by a version; None where none does."""
        began_ns = clock.monotonic_ns()
        while (waited_s := (clock.monotonic_ns() - began_ns) / 1e9) < _WAIT_S:
            state = await self.store.state(self.line.name)
            updated_ns = int(state.get("updated_ms", "0")) * NS_PER_MS
            if state.get("state") != "RUNNING" or clock.utc_ns() - updated_ns > _FRESH_NS:
                return None
            if int(state.get("policy_version", "-1")) >= version:
                return waited_s
            await clock.sleep(0.05)
        return None


@asynccontextmanager
async def desk_of(settings: Settings, line: str | None) -> AsyncIterator[LineDesk]:
    """Open the desk of a line, of the only one without a name; ConfigError where it, or a store, is not there."""
    if settings.store.embedded:
        raise ConfigError(
            "the store memory:// ends with the process that runs the line, and a policy that is set with it",
            "Set store.url to redis://HOST:PORT/DB, or write the policy into [lines.policy].",
        )
    found = line_of(settings, line)
    store = make_store(settings)
    try:
        yield LineDesk(settings, found, store, PolicyKeeper(store, settings.topics, found.name))
    finally:
        await store.close()


async def recorded_verdicts(desk: LineDesk, *, source: str, newest: int) -> tuple[dict[str, dict[str, Verdict]], str]:
    """Return the newest parts' verdicts, and where they are from: the topic of verdicts, or the store's decisions."""
    on_bus = not desk.settings.bus.embedded
    if source == "verdicts" and not on_bus:
        raise ConfigError("the bus memory:// keeps no verdicts", "Use --source decisions, or set bus.url to Kafka.")
    if source == "decisions" or not on_bus:
        decisions = await desk.store.decisions(desk.line.name, newest=newest)
        return by_part(from_decisions(decisions)), "decisions (which name no regions: areas and masks excuse nothing)"
    plan = await PlanKeeper(desk.store, desk.settings.topics).read()
    bus = make_bus(desk.settings, SystemClock())
    try:
        topic, partition = desk.settings.topics.verdicts, plan.of_line(desk.line.name)
        return await parts_on(bus, topic, partition, desk.line.name, cameras=desk.cameras, newest=newest), "verdicts"
    finally:
        await bus.close()


async def parts_on(
    bus: Bus, topic: str, partition: int, line: str, *, cameras: Sequence[str], newest: int
) -> dict[str, dict[str, Verdict]]:
    """Return the newest parts that a line's partition of the topic still holds, each with its verdicts by camera.

    What is read is bounded by how many are wanted, not by what the topic holds.
    """
    # Those of one part lie apart: behind the newest ones others begin, of which the first verdicts are not read.
    # Some come twice, the second time with their pictures.
    records = (newest + newest // _PICTURED + _STRADDLING) * max(1, len(cameras))
    found: list[Verdict] = []
    async with aclosing(bus.history(topic, partition, newest=records)) as messages:
        async for message in messages:
            with suppress(WireError):
                told = decode(VerdictMessage, message.value)[0]
                if told.verdict.capture.id.line == line and not told.repeats:
                    found.append(told.verdict)
    parts = by_part(found)
    return dict(islice(parts.items(), max(0, len(parts) - newest), None))


def line_of(settings: Settings, name: str | None) -> LineSettings:
    """Return a line of the settings, the only one without a name; ConfigError where it is not there."""
    names = [line.name for line in settings.lines]
    if name is None and len(names) == 1:
        return settings.lines[0]
    for line in settings.lines:
        if line.name == name:
            return line
    said = "no line is named" if name is None else f"there is no line {name!r}"
    raise ConfigError(f"{said}, and the settings have {', '.join(names)}", "Give --line one of them.")
