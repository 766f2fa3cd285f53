"""A line's policy at the console: as it stands, tried on what was recorded, changed, and taken back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from alerting.console.context import Context
from alerting.console.views import clock_text
from alerting.policy_edit import edit_of
from alerting.policy_preview import Preview, by_part, from_decisions, preview
from shared.domain import Decision
from shared.errors import ConfigError
from shared.policy import LinePolicy, policy_from_json
from shared.policy_keeper import PolicyKeeper
from shared.policy_record import PolicyChange, differences
from shared.settings import LineSettings
from shared.shifts import zone_of

_CHANGES: Final = 50


class PolicyWork:
    """One line's."""

    def __init__(self, context: Context, line: LineSettings) -> None:
        self._context = context
        self._line = line
        self._cameras = tuple(camera.name for camera in line.cameras)
        self._keeper = PolicyKeeper(context.store, context.settings.topics, line.name)

    async def standing(self) -> tuple[int, LinePolicy]:
        """Return the version and the policy that stand."""
        change = await self._keeper.standing()
        return (0, self._line.policy) if change is None else (change.version, policy_from_json(change.new))

    async def to_json(self) -> dict[str, Any]:
        """Return the policy that stands, its history, and whether the line is halted."""
        version, policy = await self.standing()
        halt, _ = await self._keeper.halted()
        zone = zone_of(self._line.time_zone)
        changes = await self._keeper.changes(newest=_CHANGES)
        halted = halt is not None and halt.halted
        return {
            "line": self._line.name,
            "version": version,
            "policy": policy.model_dump(mode="json"),
            "settings": dict(_flat(policy.model_dump(mode="json"))),
            "halted": None if halt is None or not halted else {"why": halt.why, "at": clock_text(halt.at_ns, zone)},
            "changes": [
                {
                    "version": change.version,
                    "by": change.by,
                    "at": clock_text(change.at_ns, zone),
                    "why": change.why,
                    "what": differences(change),
                }
                for change in changes
            ],
        }

    async def previewed(self, changes: Sequence[str]) -> dict[str, Any]:
        """Return what a change would have made of the newest recorded parts; it changes nothing."""
        version, before = await self.standing()
        after = edit_of(changes, self._cameras)(before)
        decisions = await self._context.store.decisions(self._line.name, newest=self._context.console.history)
        async with self._context.previewing:
            found = await asyncio.to_thread(_previewed, decisions, self._cameras, before, after)
        return {
            "version": version,
            "source": "decisions of the store, which name no regions: areas and masks excuse nothing",
            **found.to_json(),
            "examples": [
                {
                    "part_id": one.part_id,
                    "before": one.before.value,
                    "after": one.after.value,
                    "was": one.was,
                    "would_be": one.would_be,
                }
                for one in found.examples
            ],
        }

    async def change(self, changes: Sequence[str], *, version: int, by: str, why: str) -> PolicyChange:
        """Change the policy that was seen as `version`."""
        seen, policy = await self.standing()
        edit = edit_of(changes, self._cameras)
        return await self._apply(seen, policy, version, edit, by=by, why=why)

    async def undo(self, *, version: int, by: str, why: str) -> PolicyChange:
        """Put back what stood before the change that made `version`."""
        change = await self._keeper.standing()
        if change is None or change.version != version:
            raise _moved(self._line.name, 0 if change is None else change.version)
        old, policy = policy_from_json(change.old), policy_from_json(change.new)
        return await self._apply(change.version, policy, version, lambda _: old, by=by, why=why)

    async def resume(self, *, by: str, why: str) -> bool:
        """Let a halted line go on; return whether it was halted."""
        ended = await self._keeper.resume(by=by, at_ns=self._context.clock.utc_ns(), why=why)
        return ended is not None

    async def _apply(
        self,
        seen: int,
        policy: LinePolicy,
        version: int,
        edit: Callable[[LinePolicy], LinePolicy],
        *,
        by: str,
        why: str,
    ) -> PolicyChange:
        line = self._line.name
        if seen != version:
            raise _moved(line, seen)

        def checked(old: LinePolicy) -> LinePolicy:
            if old != policy:
                raise _moved(line, seen + 1)
            return edit(old)

        return await self._keeper.change(
            checked, first=self._line.policy, by=by, at_ns=self._context.clock.utc_ns(), why=why
        )


def _previewed(decisions: Sequence[Decision], cameras: Sequence[str], before: LinePolicy, after: LinePolicy) -> Preview:
    return preview(by_part(from_decisions(decisions)), cameras, before, after)


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Give every setting by the name that changes it, with its value in words."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", "none" if value in (None, []) else str(value).lower()


def _moved(line: str, version: int) -> ConfigError:
    return ConfigError(
        f"the policy of {line!r} was changed meanwhile: version {version} stands", "Load the page again, and look."
    )
