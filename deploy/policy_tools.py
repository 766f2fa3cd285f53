"""What `linewarden policy` works with: a line's settings, its policy in the store, and its recorded verdicts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from alerting.policy_preview import by_part, from_decisions
from deploy.adapters import make_bus, make_store
from shared.bus.base import Bus
from shared.clock import NS_PER_MS, Clock, SystemClock
from shared.domain import Verdict
from shared.errors import ConfigError, WireError
from shared.policy import LinePolicy, policy_from_json
from shared.policy_keeper import PolicyKeeper
from shared.settings import LineSettings, Settings
from shared.store.base import Store
from shared.wire import VerdictMessage, decode

_QUIET_POLLS: Final = 2
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
    found = _line_of(settings, line)
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
    bus = make_bus(desk.settings, SystemClock())
    try:
        verdicts = await verdicts_on(bus, desk.settings.topics.verdicts, desk.line.name)
    finally:
        await bus.close()
    parts = by_part(verdicts)
    return dict(list(parts.items())[-newest:]), "verdicts"


async def verdicts_on(bus: Bus, topic: str, line: str) -> list[Verdict]:
    """Return what the topic still holds of a line."""
    reader = await bus.subscribe([topic], group=f"policy-preview-{uuid4().hex}", member="preview")
    found: list[Verdict] = []
    try:
        quiet = 0
        while quiet < _QUIET_POLLS:
            records = await reader.poll(max_records=5_000, timeout_s=1.0)
            quiet = 0 if records else quiet + 1
            for record in records:
                with suppress(WireError):
                    verdict = decode(VerdictMessage, record.value)[0].verdict
                    found += [verdict] if verdict.capture.id.line == line else []
    finally:
        await reader.close()
    return found


def _line_of(settings: Settings, name: str | None) -> LineSettings:
    names = [line.name for line in settings.lines]
    if name is None and len(names) == 1:
        return settings.lines[0]
    for line in settings.lines:
        if line.name == name:
            return line
    said = "no line is named" if name is None else f"there is no line {name!r}"
    raise ConfigError(f"{said}, and the settings have {', '.join(names)}", "Give --line one of them.")
