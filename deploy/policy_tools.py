"""What `linewarden policy` works with: a line's settings, its policy in the store, and its recorded verdicts."""

from __future__ import annotations

import tomllib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from deploy.adapters import make_bus, make_store
from deploy.policy_preview import by_part, from_decisions
from shared.bus.base import Bus
from shared.clock import NS_PER_MS, Clock, SystemClock
from shared.domain import Verdict
from shared.errors import ConfigError, WireError
from shared.plan_keeper import PlanKeeper
from shared.policy import LinePolicy, misfit, policy_from, policy_from_json
from shared.policy_keeper import PolicyKeeper
from shared.settings import LineSettings, Settings
from shared.store.base import Store
from shared.wire import VerdictMessage, decode

_STRADDLING: Final = 500
"""How many parts may lie, with their verdicts, between the first and the last verdict of one."""
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


def edit_of(assignments: Sequence[str], cameras: Sequence[str]) -> Callable[[LinePolicy], LinePolicy]:
    """Return the change that `KEY=VALUE` words make of a policy; `none` takes a setting away."""
    wanted = [_assignment(word) for word in assignments]

    def edit(old: LinePolicy) -> LinePolicy:
        values = old.model_dump(mode="json")
        for word, (path, value) in zip(assignments, wanted, strict=True):
            _put(values, path, value, word)
        new = policy_from(values, " ".join(assignments))
        problem = misfit(new, cameras)
        if problem is not None:
            raise ConfigError(problem)
        return new

    return edit


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
    records = (newest + _STRADDLING) * max(1, len(cameras))
    found: list[Verdict] = []
    async with aclosing(bus.history(topic, partition, newest=records)) as messages:
        async for message in messages:
            with suppress(WireError):
                verdict = decode(VerdictMessage, message.value)[0].verdict
                if verdict.capture.id.line == line:
                    found.append(verdict)
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


def _assignment(word: str) -> tuple[list[str], Any]:
    key, equals, text = word.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"{word!r} is not KEY=VALUE", "Write it as reject_at=2.5 or runs.rejects_in_a_row=5.")
    text = text.strip()
    if text == "none":
        return key.strip().split("."), None
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    return key.strip().split("."), value


def _put(values: dict[str, Any], path: Sequence[str], value: object, word: str) -> None:
    for step in path[:-1]:
        values = values.setdefault(step, {})
        if not isinstance(values, dict):
            raise ConfigError(f"{word!r}: {step} holds no settings of its own")
    if value is None:
        values.pop(path[-1], None)
    else:
        values[path[-1]] = value
